//! Protobuf's text format, as `config.pbtxt` is written in.
//!
//! Reads any message without a schema, so that a field that this server does not know is told to the
//! model's owner instead of ending the load. Grammar: protobuf.dev, "Text Format Language
//! Specification"; extensions and `Any` expansions (names in brackets) are the only part left out.

use std::iter::Peekable;
use std::str::CharIndices;

/// Nesting that no configuration has.
const DEEPEST: usize = 32;

/// A message: its fields in the order written. A repeated field stands several times.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Message {
    fields: Vec<(String, Value)>,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A number or a word, as written.
    Bare(String),
    /// A string, unescaped; bytes that are no UTF-8 are replaced.
    Quoted(String),
    /// A message.
    Message(Message),
}

impl Value {
    /// The text of a string, a number or a word.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Bare(text) | Self::Quoted(text) => Some(text),
            Self::Message(_) => None,
        }
    }

    fn shown(&self) -> &str {
        self.text().unwrap_or("a message")
    }
}

impl Message {
    /// Reads a whole text.
    ///
    /// # Errors
    /// The line of the first mistake, and what was expected there.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, rest: text.char_indices().peekable() };
        let message = reader.message(None, 0)?;
        Ok(message)
    }

    /// All values of a field, which leaves the message.
    pub(super) fn take(&mut self, name: &str) -> Vec<Value> {
        let fields = std::mem::take(&mut self.fields);
        let (taken, left) = fields.into_iter().partition(|(known, _)| known == name);
        self.fields = left;
        taken.into_iter().map(|(_, value): (_, Value)| value).collect()
    }

    /// The value of a field that is not repeated: the last one written.
    pub(super) fn take_one(&mut self, name: &str) -> Option<Value> {
        self.take(name).pop()
    }

    /// A field of text.
    ///
    /// # Errors
    /// When it holds a message.
    pub(super) fn take_text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take_one(name) {
            None => Ok(None),
            Some(Value::Message(_)) => Err(format!("{name}: expected a value, got a message")),
            Some(Value::Bare(text) | Value::Quoted(text)) => Ok(Some(text)),
        }
    }

    /// A field of a number that `T` can hold.
    ///
    /// # Errors
    /// When it holds something else.
    pub(super) fn take_number<T: TryFrom<i64>>(&mut self, name: &str) -> Result<Option<T>, String> {
        self.take_one(name).map(|value| number(name, &value)).transpose()
    }

    /// All values of a field of numbers.
    ///
    /// # Errors
    /// When one of them is something else.
    pub(super) fn take_numbers<T: TryFrom<i64>>(&mut self, name: &str) -> Result<Vec<T>, String> {
        self.take(name).iter().map(|value| number(name, value)).collect()
    }

    /// All values of a field of messages.
    ///
    /// # Errors
    /// When one of them is no message.
    pub(super) fn take_messages(&mut self, name: &str) -> Result<Vec<Self>, String> {
        let message = |value| match value {
            Value::Message(message) => Ok(message),
            other => Err(format!("{name}: expected a message in braces, got {:?}", other.shown())),
        };
        self.take(name).into_iter().map(message).collect()
    }

    /// The names of the fields that nobody took.
    pub(super) fn left(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        names.dedup();
        names
    }
}

fn number<T: TryFrom<i64>>(name: &str, value: &Value) -> Result<T, String> {
    let parsed = match value {
        Value::Bare(text) => integer(text).and_then(|number| T::try_from(number).ok()),
        _ => None,
    };
    parsed.ok_or_else(|| format!("{name}: expected a whole number in range, got {:?}", value.shown()))
}

/// Decimal, hexadecimal (`0x`) or octal (`0`), with a sign.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let magnitude = if let Some(hexadecimal) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"))
    {
        i64::from_str_radix(hexadecimal, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    magnitude.ok()?.checked_mul(sign)
}

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    /// The fields up to `close`, which is read too; up to the end where there is none.
    fn message(&mut self, close: Option<char>, depth: usize) -> Result<Message, String> {
        if depth > DEEPEST {
            return Err(self.wrong(&format!("at most {DEEPEST} levels of nesting")));
        }
        let mut message = Message::default();
        loop {
            self.skip_space();
            match self.peek() {
                None if close.is_none() => return Ok(message),
                None => return Err(self.wrong("a closing brace")),
                Some(c) if Some(c) == close => {
                    self.rest.next();
                    return Ok(message);
                }
                Some(',' | ';') => {
                    self.rest.next();
                }
                Some(_) => self.field(&mut message, depth)?,
            }
        }
    }

    fn field(&mut self, message: &mut Message, depth: usize) -> Result<(), String> {
        let name = self.word();
        if name.is_empty() {
            return Err(self.wrong("a field's name"));
        }
        self.skip_space();
        let has_colon = self.peek() == Some(':');
        if has_colon {
            self.rest.next();
            self.skip_space();
        }
        if self.peek() == Some('[') {
            self.rest.next();
            return self.list(&name, message, depth);
        }
        let value = self.value(has_colon, depth)?;
        message.fields.push((name, value));
        Ok(())
    }

    /// The elements of a list, which are values of a repeated field.
    fn list(&mut self, name: &str, message: &mut Message, depth: usize) -> Result<(), String> {
        loop {
            self.skip_space();
            match self.peek() {
                Some(']') => {
                    self.rest.next();
                    return Ok(());
                }
                Some(',') => {
                    self.rest.next();
                }
                _ => {
                    let value = self.value(true, depth)?;
                    message.fields.push((name.to_owned(), value));
                }
            }
        }
    }

    fn value(&mut self, may_be_scalar: bool, depth: usize) -> Result<Value, String> {
        match self.peek() {
            Some(open @ ('{' | '<')) => {
                self.rest.next();
                let close = if open == '{' { '}' } else { '>' };
                self.message(Some(close), depth + 1).map(Value::Message)
            }
            Some('"' | '\'') if may_be_scalar => self.strings().map(Value::Quoted),
            Some(_) if may_be_scalar => {
                let word = self.word();
                if word.is_empty() { Err(self.wrong("a value")) } else { Ok(Value::Bare(word)) }
            }
            _ => Err(self.wrong("a colon and a value, or a message in braces")),
        }
    }

    /// Strings that stand side by side are one.
    fn strings(&mut self) -> Result<String, String> {
        let mut bytes = Vec::new();
        while let Some(quote @ ('"' | '\'')) = self.peek() {
            self.rest.next();
            self.string(quote, &mut bytes)?;
            self.skip_space();
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn string(&mut self, quote: char, bytes: &mut Vec<u8>) -> Result<(), String> {
        loop {
            match self.rest.next().map(|(_, c)| c) {
                None | Some('\n') => return Err(self.wrong("the closing quote of a string")),
                Some(c) if c == quote => return Ok(()),
                Some('\\') => self.escape(bytes)?,
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let Some((_, c)) = self.rest.next() else { return Err(self.wrong("an escape")) };
        let byte = match c {
            'n' => b'\n',
            't' => b'\t',
            'r' => b'\r',
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'v' => 0x0b,
            '\\' | '\'' | '"' | '?' => u8::try_from(c).unwrap_or(b'?'),
            '0'..='7' => return self.code(8, 2, Some(c), bytes),
            'x' | 'X' => return self.code(16, 2, None, bytes),
            'u' | 'U' => {
                let mut digits = Vec::new();
                let count = if c == 'u' { 4 } else { 8 };
                self.digits(16, count, &mut digits);
                let text: String = digits.into_iter().collect();
                let character = u32::from_str_radix(&text, 16).ok().and_then(char::from_u32);
                let character = character.filter(|_| text.len() == count);
                let Some(character) = character else { return Err(self.wrong("a Unicode escape")) };
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.wrong("a known escape")),
        };
        bytes.push(byte);
        Ok(())
    }

    /// A byte in digits of `radix`: `first`, then at most `more`.
    fn code(
        &mut self,
        radix: u32,
        more: usize,
        first: Option<char>,
        bytes: &mut Vec<u8>,
    ) -> Result<(), String> {
        let mut digits: Vec<char> = first.into_iter().collect();
        self.digits(radix, more, &mut digits);
        let text: String = digits.into_iter().collect();
        let byte = u32::from_str_radix(&text, radix).ok().and_then(|code| u8::try_from(code).ok());
        let Some(byte) = byte else { return Err(self.wrong("an escape of one byte")) };
        bytes.push(byte);
        Ok(())
    }

    fn digits(&mut self, radix: u32, most: usize, digits: &mut Vec<char>) {
        for _ in 0..most {
            let Some((_, digit)) = self.rest.next_if(|(_, c)| c.is_digit(radix)) else { return };
            digits.push(digit);
        }
    }

    /// A name, a word or a number.
    fn word(&mut self) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '+');
        let mut word = String::new();
        while let Some((_, c)) = self.rest.next_if(|(_, c)| is_part(*c)) {
            word.push(c);
        }
        word
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, c)| *c)
    }

    fn skip_space(&mut self) {
        while let Some(c) = self.peek() {
            if c == '#' {
                while self.rest.next_if(|(_, c)| *c != '\n').is_some() {}
            } else if c.is_whitespace() {
                self.rest.next();
            } else {
                return;
            }
        }
    }

    fn wrong(&mut self, expected: &str) -> String {
        let at = self.rest.peek().map_or(self.text.len(), |(at, _)| *at);
        let line = self.text[..at].matches('\n').count() + 1;
        let came = self.peek().map_or("the end".to_owned(), |c| format!("{c:?}"));
        format!("line {line}: expected {expected}, got {came}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_of_a_field_is_read() {
        let text = r#"
            name: "m" # a comment
            max_batch_size: 0x10,
            dims: [ 1, -1 ] dims: 010;
            input [ { name: 'a' }, < name: "b" "c\n\101\x41\u00e9" > ]
            dynamic_batching { }
            parameters { key: "k" value: { string_value: "v" } }
            kind: KIND_CPU
        "#;
        let mut message = Message::parse(text).unwrap();
        assert_eq!(message.take_text("name"), Ok(Some("m".to_owned())));
        assert_eq!(message.take_number::<u32>("max_batch_size"), Ok(Some(16)));
        assert_eq!(message.take_numbers::<i64>("dims"), Ok(vec![1, -1, 8]));
        let mut inputs = message.take_messages("input").unwrap();
        assert_eq!(inputs[1].take_text("name"), Ok(Some("bc\nAA\u{e9}".to_owned())));
        assert_eq!(message.take_messages("dynamic_batching").unwrap().len(), 1);
        assert_eq!(message.left(), ["parameters", "kind"]);
        assert!(message.take_number::<u32>("kind").unwrap_err().contains("KIND_CPU"));
    }

    #[test]
    fn mistakes_name_their_line() {
        let cases = [
            ("a: 1\nb {\n", "line 3: expected a closing brace, got the end"),
            ("a: 1\n: 2", "line 2: expected a field's name, got ':'"),
            ("a: \"x\n\"", "closing quote"),
            ("a 1", "a colon and a value"),
            ("a: [1, }", "expected a value"),
            ("a: \"\\q\"", "a known escape"),
        ];
        for (text, expected) in cases {
            let problem = Message::parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text:?}: {problem}");
        }
        let deep = "a {".repeat(100_000);
        assert!(Message::parse(&deep).unwrap_err().contains("levels of nesting"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c{}<>\\[\\]:,;\"'#\\\\0-9x \n\\-]{0,80}") {
            drop(Message::parse(&text));
        }
    }
}
