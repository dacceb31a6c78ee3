//! JSON's tokens, with the counting that messages need.
//!
//! RFC 8259, read byte by byte. What counts as "last read" is everything since
//! the last string or number began.

use std::borrow::Cow;

pub(super) enum Token {
    Null,
    True,
    False,
    String(Vec<u8>),
    Number {
        text: String,
        integer: bool,
    },
    ListBegin,
    ListEnd,
    SetBegin,
    SetEnd,
    Colon,
    Comma,
    End,
    /// No token, and why.
    Bad(Cow<'static, str>),
}

impl Token {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Null => "null literal",
            Self::True => "true literal",
            Self::False => "false literal",
            Self::String(_) => "string literal",
            Self::Number { .. } => "number literal",
            Self::ListBegin => "'['",
            Self::ListEnd => "']'",
            Self::SetBegin => "'{'",
            Self::SetEnd => "'}'",
            Self::Colon => "':'",
            Self::Comma => "','",
            Self::End => "end of input",
            Self::Bad(_) => "<parse error>",
        }
    }
}

pub(super) struct Lexer<'t> {
    text: &'t [u8],
    /// Bytes read; one more than there are once the end was met.
    read: usize,
    line: usize,
    column: usize,
    /// Where "last read" begins.
    mark: usize,
}

type Bad<T> = Result<T, Cow<'static, str>>;

fn bad<T>(reason: &'static str) -> Bad<T> {
    Err(Cow::Borrowed(reason))
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, read: 0, line: 0, column: 0, mark: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The line and column that messages name.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.line + 1, self.column)
    }

    pub(super) fn last_read(&self) -> String {
        let mut shown = String::new();
        let read = &self.text[self.mark..self.read.min(self.text.len())];
        for character in String::from_utf8_lossy(read).chars() {
            match character as u32 {
                code @ 0..32 => shown.push_str(&format!("<U+{code:04X}>")),
                _ => shown.push(character),
            }
        }
        shown
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.text.get(self.read).copied();
        self.read += 1;
        self.column += 1;
        if byte == Some(b'\n') {
            self.line += 1;
            self.column = 0;
        }
        byte
    }

    /// Takes back a byte that ended a number.
    fn back(&mut self) {
        self.read -= 1;
        if self.column > 0 {
            self.column -= 1;
        } else if self.line > 0 {
            self.line -= 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.read).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.next();
        }
    }

    /// Takes the closing bracket if it is next.
    pub(super) fn skip_close(&mut self, bracket: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(bracket);
        if found {
            self.next();
        }
        found
    }

    /// A byte order mark may stand before everything.
    fn skip_mark(&mut self) -> Bad<()> {
        const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
        if self.read == 0 && self.peek() == Some(MARK[0]) {
            self.next();
            if self.next() != Some(MARK[1]) || self.next() != Some(MARK[2]) {
                return bad("invalid BOM; must be 0xEF 0xBB 0xBF if given");
            }
        }
        Ok(())
    }

    pub(super) fn token(&mut self) -> Token {
        if let Err(reason) = self.skip_mark() {
            return Token::Bad(reason);
        }
        self.skip_space();
        let found = match self.next() {
            None => Ok(Token::End),
            Some(b'[') => Ok(Token::ListBegin),
            Some(b']') => Ok(Token::ListEnd),
            Some(b'{') => Ok(Token::SetBegin),
            Some(b'}') => Ok(Token::SetEnd),
            Some(b':') => Ok(Token::Colon),
            Some(b',') => Ok(Token::Comma),
            Some(b't') => self.word(b"rue", Token::True),
            Some(b'f') => self.word(b"alse", Token::False),
            Some(b'n') => self.word(b"ull", Token::Null),
            Some(b'"') => {
                self.mark = self.read - 1;
                self.string().map(Token::String)
            }
            Some(first @ (b'-' | b'0'..=b'9')) => {
                self.mark = self.read - 1;
                self.number(first)
            }
            Some(_) => bad("invalid literal"),
        };
        found.unwrap_or_else(Token::Bad)
    }

    fn word(&mut self, rest: &[u8], token: Token) -> Bad<Token> {
        for expected in rest {
            if self.next() != Some(*expected) {
                return bad("invalid literal");
            }
        }
        Ok(token)
    }

    fn digits(&mut self) -> bool {
        let mut any = false;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.next();
            any = true;
        }
        any
    }

    /// At least one digit, else the byte that stands there is read and blamed.
    fn some_digits(&mut self, reason: &'static str) -> Bad<()> {
        if self.digits() {
            return Ok(());
        }
        self.next();
        bad(reason)
    }

    fn number(&mut self, first: u8) -> Bad<Token> {
        let start = self.read - 1;
        let mut leading = first;
        if first == b'-' {
            match self.next() {
                Some(digit @ b'0'..=b'9') => leading = digit,
                _ => return bad("invalid number; expected digit after '-'"),
            }
        }
        if leading != b'0' {
            self.digits();
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.next();
            self.some_digits("invalid number; expected digit after '.'")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.next();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.next();
                self.some_digits("invalid number; expected digit after exponent sign")?;
            } else {
                self.some_digits("invalid number; expected '+', '-', or digit after exponent")?;
            }
        }
        let text = String::from_utf8_lossy(&self.text[start..self.read]).into_owned();
        // The byte after a number has been looked at: at a line's end that
        // leaves the count of columns at zero.
        self.next();
        self.back();
        Ok(Token::Number { text, integer })
    }

    fn string(&mut self) -> Bad<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            match self.next() {
                None => return bad("invalid string: missing closing quote"),
                Some(b'"') => return Ok(out),
                Some(b'\\') => self.escape(&mut out)?,
                Some(control @ 0..32) => return Err(must_be_escaped(control)),
                Some(ascii @ ..0x80) => out.push(ascii),
                Some(lead) => self.multibyte(lead, &mut out)?,
            }
        }
    }

    /// A character of several bytes (Unicode 15, table 3-7).
    fn multibyte(&mut self, lead: u8, out: &mut Vec<u8>) -> Bad<()> {
        let second = match lead {
            0xe0 => 0xa0..=0xbf,
            0xed => 0x80..=0x9f,
            0xf0 => 0x90..=0xbf,
            0xf4 => 0x80..=0x8f,
            0xc2..=0xdf | 0xe1..=0xef | 0xf1..=0xf3 => 0x80..=0xbf,
            _ => return bad("invalid string: ill-formed UTF-8 byte"),
        };
        let more = match lead {
            ..0xe0 => 0,
            0xe0..0xf0 => 1,
            _ => 2,
        };
        out.push(lead);
        for allowed in std::iter::once(second).chain(std::iter::repeat_n(0x80..=0xbf, more)) {
            match self.next() {
                Some(byte) if allowed.contains(&byte) => out.push(byte),
                _ => return bad("invalid string: ill-formed UTF-8 byte"),
            }
        }
        Ok(())
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Bad<()> {
        out.push(match self.next() {
            Some(same @ (b'"' | b'\\' | b'/')) => same,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.code_point(out),
            _ => return bad("invalid string: forbidden character after backslash"),
        });
        Ok(())
    }

    fn code_point(&mut self, out: &mut Vec<u8>) -> Bad<()> {
        const LONE: &str = "invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF";
        let mut code = self.hex()?;
        if (0xd800..0xdc00).contains(&code) {
            if self.next() != Some(b'\\') || self.next() != Some(b'u') {
                return bad(LONE);
            }
            let low = self.hex()?;
            if !(0xdc00..0xe000).contains(&low) {
                return bad(LONE);
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        let Some(character) = char::from_u32(code) else {
            return bad("invalid string: surrogate U+DC00..U+DFFF must follow U+D800..U+DBFF");
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn hex(&mut self) -> Bad<u32> {
        let mut code = 0;
        for _ in 0..4 {
            match self.next().and_then(|byte| char::from(byte).to_digit(16)) {
                Some(digit) => code = code * 16 + digit,
                None => return bad("invalid string: '\\u' must be followed by 4 hex digits"),
            }
        }
        Ok(code)
    }
}

fn must_be_escaped(control: u8) -> Cow<'static, str> {
    const NAMES: [&str; 32] = [
        "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO",
        "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS",
        "RS", "US",
    ];
    let short = match control {
        8 => " or \\b",
        9 => " or \\t",
        10 => " or \\n",
        12 => " or \\f",
        13 => " or \\r",
        _ => "",
    };
    let name = NAMES[usize::from(control)];
    Cow::Owned(format!(
        "invalid string: control character U+{control:04X} ({name}) must be escaped to \\u{control:04X}{short}"
    ))
}
