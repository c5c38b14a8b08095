//! A document against a schema that was looked through before: every problem with its place, up to
//! a limit. What the schema's own checks exclude is taken as fitting.

use std::cell::Cell;
use std::cmp::Ordering;

use grepx_plugin_sdk::prelude::*;
use serde_json::{Map, Number};

use super::{DEPTH_MAX, referred, same, schema};

/// Problems that are looked for.
const PROBLEMS_MAX: usize = 20;
/// Schemas that are held against values: one that refers to itself twice would double for ever.
const LOOKS_MAX: u32 = 100_000;

/// What is wrong with `value`, each as `place: what`; empty when it fits.
pub(crate) fn problems(schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let left = Cell::new(LOOKS_MAX);
    let mut judge = Judge {
        root: schema,
        left: &left,
        found: Vec::new(),
    };
    judge.look(schema, value, place, 0);
    if left.get() == 0 {
        return vec![format!("{place}: goes deeper, or takes longer, than a form may")];
    }
    judge.found
}

struct Judge<'a> {
    root: &'a Value,
    /// Looks that are left; at 0 nothing that was found counts.
    left: &'a Cell<u32>,
    found: Vec<String>,
}

impl<'a> Judge<'a> {
    fn wrong(&mut self, place: &str, what: &str) {
        if self.found.len() < PROBLEMS_MAX {
            self.found.push(format!("{place}: {what}"));
        }
    }

    /// Without telling why not.
    fn fits(&self, schema: &'a Value, value: &Value, depth: u32) -> bool {
        let mut judge = Judge {
            root: self.root,
            left: self.left,
            found: Vec::new(),
        };
        judge.look(schema, value, "", depth);
        judge.found.is_empty()
    }

    fn look(&mut self, schema: &'a Value, value: &Value, place: &str, depth: u32) {
        if depth > DEPTH_MAX || self.left.get() == 0 {
            return self.left.set(0);
        }
        self.left.set(self.left.get() - 1);
        let members = match schema {
            Value::Bool(true) => return,
            Value::Object(members) => members,
            _ => return self.wrong(place, "is not allowed"),
        };
        if let Some(found) = members
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|it| referred(self.root, it))
        {
            self.look(found, value, place, depth + 1);
        }
        if !is_of_type(members, value) {
            let wanted = members.get("type").map_or_else(String::new, words);
            return self.wrong(place, &format!("has to be of type {wanted}"));
        }
        self.chosen(members, value, place);
        self.combined(members, value, place, depth + 1);
        match value {
            Value::Number(number) => self.number(members, number, place),
            Value::String(text) => self.text(members, text, place),
            Value::Array(list) => self.list(members, list, place, depth + 1),
            Value::Object(object) => self.object(members, object, place, depth + 1),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn chosen(&mut self, members: &Map<String, Value>, value: &Value, place: &str) {
        if let Some(Value::Array(list)) = members.get("enum")
            && !list.iter().any(|one| same(one, value))
        {
            let list: Vec<String> = list.iter().map(Value::to_string).collect();
            self.wrong(place, &format!("has to be one of {}", list.join(", ")));
        }
        if let Some(only) = members.get("const")
            && !same(only, value)
        {
            self.wrong(place, &format!("has to be {only}"));
        }
    }

    fn combined(&mut self, members: &'a Map<String, Value>, value: &Value, place: &str, depth: u32) {
        let list = |keyword: &str| members.get(keyword).and_then(Value::as_array);
        for schema in list("allOf").into_iter().flatten() {
            self.look(schema, value, place, depth);
        }
        let fitting = |keyword: &str| {
            let list = list(keyword)?;
            Some(list.iter().filter(|one| self.fits(one, value, depth)).count())
        };
        let (any, one) = (fitting("anyOf"), fitting("oneOf"));
        if any == Some(0) {
            self.wrong(place, "fits none of the alternatives");
        }
        if let Some(fitting) = one.filter(|&fitting| fitting != 1) {
            self.wrong(place, &format!("has to fit one alternative, and fits {fitting}"));
        }
        if let Some(not) = members.get("not")
            && self.fits(not, value, depth)
        {
            self.wrong(place, "is what is excluded");
        }
        if let Some(condition) = members.get("if") {
            let branch = if self.fits(condition, value, depth) {
                "then"
            } else {
                "else"
            };
            if let Some(schema) = members.get(branch) {
                self.look(schema, value, place, depth);
            }
        }
    }

    fn number(&mut self, members: &Map<String, Value>, number: &Number, place: &str) {
        for (keyword, words, fits) in [
            (
                "minimum",
                "at least",
                (|it, limit| order(it, limit).is_ge()) as fn(&Number, &Number) -> bool,
            ),
            ("maximum", "at most", |it, limit| order(it, limit).is_le()),
            ("exclusiveMinimum", "more than", |it, limit| order(it, limit).is_gt()),
            ("exclusiveMaximum", "less than", |it, limit| order(it, limit).is_lt()),
            ("multipleOf", "a multiple of", is_multiple),
        ] {
            let limit = members.get(keyword).and_then(Value::as_number);
            if let Some(limit) = limit.filter(|limit| !fits(number, limit)) {
                self.wrong(place, &format!("has to be {words} {limit}"));
            }
        }
    }

    fn text(&mut self, members: &Map<String, Value>, text: &str, place: &str) {
        self.count(
            members,
            ("minLength", "maxLength"),
            text.chars().count(),
            "characters",
            place,
        );
        if let Some(pattern) = members.get("pattern").and_then(Value::as_str)
            && schema::pattern(pattern).is_ok_and(|pattern| !pattern.is_match(text))
        {
            self.wrong(place, &format!("does not match {pattern}"));
        }
    }

    fn list(&mut self, members: &'a Map<String, Value>, list: &[Value], place: &str, depth: u32) {
        self.count(members, ("minItems", "maxItems"), list.len(), "items", place);
        let first = members
            .get("prefixItems")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        for (index, value) in list.iter().enumerate() {
            if let Some(schema) = first.get(index).or_else(|| members.get("items")) {
                self.look(schema, value, &format!("{place}.{index}"), depth);
            }
        }
        if members.get("uniqueItems") == Some(&Value::Bool(true)) {
            let twice = (1..list.len()).find(|&index| list[..index].iter().any(|known| same(known, &list[index])));
            if let Some(index) = twice {
                self.wrong(&format!("{place}.{index}"), "stands there twice");
            }
        }
        if let Some(schema) = members.get("contains") {
            let number = list.iter().filter(|value| self.fits(schema, value, depth)).count() as u64;
            let limit = |keyword: &str| members.get(keyword).and_then(Value::as_u64);
            let (least, most) = (
                limit("minContains").unwrap_or(1),
                limit("maxContains").unwrap_or(u64::MAX),
            );
            if number < least || number > most {
                self.wrong(place, &format!("has {number} items of the kind that is asked for"));
            }
        }
    }

    fn object(&mut self, members: &'a Map<String, Value>, object: &Map<String, Value>, place: &str, depth: u32) {
        self.count(
            members,
            ("minProperties", "maxProperties"),
            object.len(),
            "members",
            place,
        );
        let part = |keyword: &str| members.get(keyword).and_then(Value::as_object);
        let needed = |list: &'a Value| list.as_array().into_iter().flatten().filter_map(Value::as_str);
        let dependent = part("dependentRequired").into_iter().flatten();
        let also = dependent
            .filter(|(name, _)| object.contains_key(*name))
            .flat_map(|(_, list)| needed(list));
        let missing: Vec<&str> = members
            .get("required")
            .into_iter()
            .flat_map(needed)
            .chain(also)
            .collect();
        for name in missing.into_iter().filter(|name| !object.contains_key(*name)) {
            self.wrong(&format!("{place}.{name}"), "is missing");
        }
        for (name, schema) in part("dependentSchemas").into_iter().flatten() {
            if object.contains_key(name) {
                self.look(schema, &Value::Object(object.clone()), place, depth);
            }
        }
        for (name, value) in object {
            let place = format!("{place}.{name}");
            let own = part("properties").and_then(|all| all.get(name));
            let matching = part("patternProperties").into_iter().flatten();
            let matching = matching.filter(|(text, _)| schema::pattern(text).is_ok_and(|it| it.is_match(name)));
            let known: Vec<&Value> = own.into_iter().chain(matching.map(|(_, schema)| schema)).collect();
            if known.is_empty() {
                match members.get("additionalProperties") {
                    Some(Value::Bool(false)) => self.wrong(&place, "is not part of the form"),
                    Some(schema) => self.look(schema, value, &place, depth),
                    None => {}
                }
            }
            for schema in known {
                self.look(schema, value, &place, depth);
            }
            if let Some(schema) = members.get("propertyNames")
                && !self.fits(schema, &Value::String(name.clone()), depth)
            {
                self.wrong(&place, "has a name that is not allowed");
            }
        }
    }

    fn count(
        &mut self,
        members: &Map<String, Value>,
        (least, most): (&str, &str),
        count: usize,
        of: &str,
        place: &str,
    ) {
        let limit = |keyword: &str| members.get(keyword).and_then(Value::as_u64);
        let count = count as u64;
        if let Some(least) = limit(least).filter(|&least| count < least) {
            self.wrong(place, &format!("has to have at least {least} {of}"));
        }
        if let Some(most) = limit(most).filter(|&most| count > most) {
            self.wrong(place, &format!("has to have at most {most} {of}"));
        }
    }
}

fn is_of_type(members: &Map<String, Value>, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        // 1.0 is a whole number as well.
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|it| it.fract() == 0.0),
        _ => false,
    };
    match members.get("type") {
        None => true,
        Some(Value::Array(list)) => list.iter().any(is),
        Some(one) => is(one),
    }
}

fn words(types: &Value) -> String {
    match types {
        Value::Array(list) => {
            let names: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            names.join(" or ")
        }
        one => one.as_str().unwrap_or_default().to_owned(),
    }
}

/// Whole numbers exactly, others as fractions.
fn order(one: &Number, other: &Number) -> Ordering {
    if let (Some(one), Some(other)) = (whole(one), whole(other)) {
        return one.cmp(&other);
    }
    let fraction = |number: &Number| number.as_f64().unwrap_or_default();
    fraction(one).total_cmp(&fraction(other))
}

/// Fractions within what they can say: 0.3 is a multiple of 0.1.
fn is_multiple(number: &Number, of: &Number) -> bool {
    if let (Some(number), Some(of)) = (whole(number), whole(of)) {
        return of != 0 && number % of == 0;
    }
    let times = number.as_f64().unwrap_or_default() / of.as_f64().unwrap_or(1.0);
    (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
}

fn whole(number: &Number) -> Option<i128> {
    let signed = number.as_i64().map(i128::from);
    signed.or_else(|| number.as_u64().map(i128::from))
}
