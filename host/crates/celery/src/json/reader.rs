//! The tolerant pass: a recursive reader that builds the value itself, because rewriting the text
//! for a strict one would cost a second copy and lose the paths for the notes.

use serde_json::{Map, Number, Value};

use super::{JsonError, Lost, MAX_DEPTH, Notes};

/// Characters of one key shown in a path.
const KEY_SHOWN: usize = 60;

enum Segment<'a> {
    Key(&'a str),
    Index(usize),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    path: Vec<Segment<'a>>,
    notes: Notes,
}

pub(super) fn read(text: &str) -> Result<(Value, Notes), JsonError> {
    let mut reader = Reader {
        text,
        at: 0,
        path: Vec::new(),
        notes: Notes::default(),
    };
    let value = reader.value()?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.expected("the end of the document"));
    }
    Ok((value, reader.notes))
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax {
            offset: self.at,
            expected,
        }
    }

    fn note(&mut self, lost: Lost) {
        let path = &self.path;
        self.notes.add(lost, || render(path));
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self) -> Result<Value, JsonError> {
        self.space();
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => Ok(Value::String(self.string()?.0)),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'N') => {
                let value = self.word("NaN", Value::Null)?;
                self.note(Lost::NotANumber);
                Ok(value)
            }
            Some(b'I') => self.infinity(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.expected("a value")),
        }
    }

    fn infinity(&mut self) -> Result<Value, JsonError> {
        let value = self.word("Infinity", Value::Null)?;
        self.note(Lost::Infinite);
        Ok(value)
    }

    fn enter(&mut self) -> Result<(), JsonError> {
        if self.path.len() >= MAX_DEPTH {
            return Err(JsonError::TooDeep { offset: self.at });
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn array(&mut self) -> Result<Value, JsonError> {
        self.enter()?;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            self.path.push(Segment::Index(items.len()));
            items.push(self.value()?);
            self.path.pop();
            self.space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn object(&mut self) -> Result<Value, JsonError> {
        self.enter()?;
        let mut map = Map::new();
        if self.take(b'}') {
            return Ok(Value::Object(map));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a quoted key"));
            }
            let (key, raw) = self.string()?;
            self.space();
            if !self.take(b':') {
                return Err(self.expected("`:`"));
            }
            self.path.push(Segment::Key(raw));
            let value = self.value()?;
            self.path.pop();
            map.insert(key, value);
            self.space();
            if self.take(b'}') {
                return Ok(Value::Object(map));
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    /// The string, and the text between its quotes as written.
    fn string(&mut self) -> Result<(String, &'a str), JsonError> {
        self.at += 1;
        let start = self.at;
        let mut out = String::new();
        loop {
            let run = self.text.as_bytes()[self.at..]
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
                .ok_or(JsonError::Syntax {
                    offset: self.text.len(),
                    expected: "`\"`",
                })?;
            out.push_str(&self.text[self.at..self.at + run]);
            self.at += run;
            match self.peek() {
                Some(b'"') => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok((out, raw));
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(&mut out)?;
                }
                _ => return Err(self.expected("an escaped control character")),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), JsonError> {
        let plain = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode(out);
            }
            _ => return Err(self.expected("an escape")),
        };
        self.at += 1;
        out.push(plain);
        Ok(())
    }

    fn unicode(&mut self, out: &mut String) -> Result<(), JsonError> {
        let unit = self.hex().ok_or_else(|| self.expected("four hexadecimal digits"))?;
        self.at += 4;
        if let Some(character) = char::from_u32(unit) {
            out.push(character);
            return Ok(());
        }
        if let Some(character) = self.low_half(unit) {
            self.at += 6;
            out.push(character);
        } else {
            out.push(char::REPLACEMENT_CHARACTER);
            self.note(Lost::LoneSurrogate);
        }
        Ok(())
    }

    fn hex(&self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
        digits
            .iter()
            .try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
    }

    /// The character that `high` makes with the escape that follows, if it makes one.
    fn low_half(&mut self, high: u32) -> Option<char> {
        let next = self.text.as_bytes().get(self.at..self.at + 2)?;
        if !(0xd800..0xdc00).contains(&high) || next != b"\\u" {
            return None;
        }
        self.at += 2;
        let low = self.hex();
        self.at -= 2;
        let low = low.filter(|low| (0xdc00..0xe000).contains(low))?;
        char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.expected("a digit"))
        } else {
            Ok(())
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        if self.take(b'-') && self.peek() == Some(b'I') {
            return self.infinity();
        }
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut integer = true;
        if self.take(b'.') {
            integer = false;
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            integer = false;
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let written = &self.text[start..self.at];
        if integer && written != "-0" {
            if let Ok(number) = written.parse::<i64>() {
                return Ok(number.into());
            }
            if let Ok(number) = written.parse::<u64>() {
                return Ok(number.into());
            }
        }
        match written.parse().ok().and_then(Number::from_f64) {
            Some(number) => {
                if integer && written != "-0" {
                    self.note(Lost::IntegerRounded);
                }
                Ok(Value::Number(number))
            }
            None => {
                self.note(Lost::Infinite);
                Ok(Value::Null)
            }
        }
    }
}

/// A JSON pointer. Keys are shown as written, cut to [`KEY_SHOWN`] characters.
fn render(path: &[Segment<'_>]) -> String {
    let mut out = String::new();
    for segment in path {
        out.push('/');
        match segment {
            Segment::Index(index) => out.push_str(&index.to_string()),
            Segment::Key(raw) => {
                let shown: String = raw.chars().take(KEY_SHOWN).collect();
                out.push_str(&shown.replace('~', "~0").replace('/', "~1"));
            }
        }
    }
    out
}
