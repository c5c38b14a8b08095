//! An answer as it arrives, and whether it can be taken: `{"by", "note", "form"}`, for `decide`
//! also `approved`. A webhook that cannot shape its payload may send the form's members beside
//! `by` and `note` instead.

use grepx_plugin_sdk::prelude::*;
use serde_json::Map;

use crate::state::{State, shorten};
use crate::{Decision, form, time};

/// Characters of a name, and of a note.
const MOST_BY: usize = 256;
const MOST_NOTE: usize = 10_000;
/// Problems of a form that are told.
const MOST_PROBLEMS: usize = 3;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    approved: bool,
    by: Option<String>,
    note: Option<String>,
    form: Value,
}

/// Why it cannot be taken, for people.
type Refused = String;

/// Reads the payload of the signal `name`. A rejection needs no filled in form.
pub(crate) fn read(name: &str, payload: Value, schema: Option<&Value>) -> Result<Answer, Refused> {
    let mut members = match payload {
        Value::Null => Map::new(),
        Value::Object(members) => members,
        Value::Bool(approved) if name == "decide" => Map::from_iter([("approved".to_owned(), approved.into())]),
        _ => return Err("it has to be an object with by, note and form".to_owned()),
    };
    let approved = match (name, members.remove("approved")) {
        ("decide", Some(Value::Bool(approved))) => approved,
        ("decide", _) => return Err("approved has to be true or false".to_owned()),
        ("approve", None | Some(Value::Bool(true))) => true,
        ("reject", None | Some(Value::Bool(false))) => false,
        (_, Some(other)) => return Err(shorten(&format!("the signal {name} contradicts approved = {other}"))),
        (_, None) => return Err(format!("{name} is no decision")),
    };
    let by = text(&mut members, "by", MOST_BY)?;
    let note = text(&mut members, "note", MOST_NOTE)?;
    let filled = match members.remove("form") {
        Some(form) => form,
        None if members.is_empty() => Value::Null,
        None => Value::Object(members),
    };
    if let Some(schema) = schema.filter(|_| approved) {
        check(schema, &filled)?;
    }
    Ok(Answer {
        approved,
        by,
        note,
        form: filled,
    })
}

fn text(members: &mut Map<String, Value>, name: &str, most: usize) -> Result<Option<String>, Refused> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().nth(most).is_none() => Ok(Some(text)),
        Some(Value::String(_)) => Err(format!("{name} has more than {most} characters")),
        Some(_) => Err(format!("{name} has to be a text")),
    }
}

/// Nothing filled in is an empty object: its missing members are told by name.
fn check(schema: &Value, filled: &Value) -> Result<(), Refused> {
    let empty = Value::Object(Map::new());
    let filled = if filled.is_null() { &empty } else { filled };
    let mut problems = form::problems(schema, filled, "form");
    if problems.is_empty() {
        return Ok(());
    }
    if problems.len() > MOST_PROBLEMS {
        problems.truncate(MOST_PROBLEMS);
        problems.push("and more".to_owned());
    }
    Err(shorten(&problems.join("; ")))
}

impl Answer {
    /// A rejection is a failure that nobody should retry: the same people would be asked again.
    pub(crate) fn decide(self, ctx: &Ctx, state: &State) -> Result<Decision, Error> {
        let at = time::rfc3339(ctx.now_ms);
        if self.approved {
            return Ok(Decision {
                approved: true,
                by: self.by,
                at,
                note: self.note,
                form: self.form,
                expired: false,
            });
        }
        let by = self.by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
        let note = self.note.as_ref().map_or(String::new(), |note| format!(": {note}"));
        let message = shorten(&format!("rejected{by}{note} ({})", state.message));
        let details = json!({ "by": self.by, "at": at, "note": self.note, "form": self.form });
        Err(Error::permanent("rejected", message).details(details))
    }
}

#[cfg(test)]
mod tests;
