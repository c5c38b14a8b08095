//! Values as Python would print them, for `argsrepr` and `kwargsrepr` (what Flower and a worker's
//! log show) and for the text of exceptions.
//!
//! It is for people: characters that Python calls unprintable are only recognised among the
//! control characters.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

#[cfg(test)]
mod tests;

/// Stands for what was cut off.
const ELLIPSIS: &str = "...";

/// `[1, 'a', None]`, about `max_chars` characters at most.
pub fn list(items: &[Value], max_chars: usize) -> String {
    bounded(max_chars, |out| out.sequence('[', items, ']'))
}

/// `{'k': True}`, about `max_chars` characters at most.
pub fn dict(map: &Map<String, Value>, max_chars: usize) -> String {
    bounded(max_chars, |out| out.dict(map))
}

/// `(1, 'a')`, with the comma of a tuple of one.
pub fn tuple(items: &[Value], max_chars: usize) -> String {
    bounded(max_chars, |out| match items {
        [only] => {
            out.push('(');
            out.value(only);
            out.text(",)");
        }
        _ => out.sequence('(', items, ')'),
    })
}

/// Any value.
pub fn value(value: &Value, max_chars: usize) -> String {
    bounded(max_chars, |out| out.value(value))
}

fn bounded(max_chars: usize, write: impl FnOnce(&mut Repr)) -> String {
    let mut repr = Repr {
        out: String::new(),
        left: max_chars,
        cut: false,
    };
    write(&mut repr);
    if repr.cut {
        repr.out.push_str(ELLIPSIS);
    }
    repr.out
}

struct Repr {
    out: String,
    left: usize,
    cut: bool,
}

impl Repr {
    fn push(&mut self, character: char) {
        if self.left == 0 {
            self.cut = true;
        } else {
            self.left -= 1;
            self.out.push(character);
        }
    }

    fn text(&mut self, text: &str) {
        for character in text.chars() {
            if self.cut {
                return;
            }
            self.push(character);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.text("None"),
            Value::Bool(true) => self.text("True"),
            Value::Bool(false) => self.text("False"),
            Value::Number(number) => self.text(&float_or_int(number)),
            Value::String(text) => self.string(text),
            Value::Array(items) => self.sequence('[', items, ']'),
            Value::Object(map) => self.dict(map),
        }
    }

    fn sequence(&mut self, open: char, items: &[Value], close: char) {
        self.push(open);
        for (index, item) in items.iter().enumerate() {
            if self.cut {
                return;
            }
            if index > 0 {
                self.text(", ");
            }
            self.value(item);
        }
        self.push(close);
    }

    fn dict(&mut self, map: &Map<String, Value>) {
        self.push('{');
        for (index, (key, item)) in map.iter().enumerate() {
            if self.cut {
                return;
            }
            if index > 0 {
                self.text(", ");
            }
            self.string(key);
            self.text(": ");
            self.value(item);
        }
        self.push('}');
    }

    fn string(&mut self, text: &str) {
        let quote = if text.contains('\'') && !text.contains('"') {
            '"'
        } else {
            '\''
        };
        self.push(quote);
        for character in text.chars() {
            if self.cut {
                return;
            }
            match character {
                '\\' => self.text("\\\\"),
                '\n' => self.text("\\n"),
                '\r' => self.text("\\r"),
                '\t' => self.text("\\t"),
                c if c == quote => {
                    self.push('\\');
                    self.push(c);
                }
                c if c.is_control() => {
                    let mut escaped = String::new();
                    let _infallible = write!(escaped, "\\x{:02x}", u32::from(c));
                    self.text(&escaped);
                }
                c => self.push(c),
            }
        }
        self.push(quote);
    }
}

/// Python writes exponents with a sign and two digits: `1e+16`, `1e-05`.
fn float_or_int(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    let written = format!("{float:?}");
    match written.split_once('e') {
        None => written,
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(negative) => format!("{digits}e-{negative:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
    }
}
