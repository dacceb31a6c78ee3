//! What a comparison finds: a tree whose leaves name the bytes.

use std::fmt;

/// A thing that differs, and how.
///
/// # Invariants
/// Swapping the two inputs swaps every [`Sides`], the words left and right in
/// notes, and which side numbers lines of both; nothing else, the order of
/// `children` included. (Where everything that may be unpacked was, it was the
/// left side that came first.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// How the thing is found in what holds it.
    pub step: Step,
    pub what: What,
    /// What both sides are ("gzip", "ELF"), if they are the same.
    pub format: Option<&'static str>,
    /// None where a side has no such thing, or a thing without a size.
    pub sizes: Sides<Option<u64>>,
    /// None where bytes at an offset are not what differs.
    pub place: Option<Place>,
    pub excerpt: Option<Excerpt>,
    /// What the bytes tell of the cause; empty if they tell nothing.
    pub hints: Vec<Hint>,
    /// What a reader should know: limits reached, containers that could not be
    /// opened and why.
    pub notes: Vec<String>,
    pub children: Vec<Difference>,
    /// Further things inside that differ too and were not kept.
    pub children_omitted: u64,
}

impl Difference {
    pub(crate) fn new(step: Step, what: What) -> Self {
        Self {
            step,
            what,
            format: None,
            sizes: Sides { left: None, right: None },
            place: None,
            excerpt: None,
            hints: Vec::new(),
            notes: Vec::new(),
            children: Vec::new(),
            children_omitted: 0,
        }
    }

    /// Visits every difference without children, with the steps from the root
    /// to it, in order.
    pub fn for_each_leaf<'a>(&'a self, visit: &mut dyn FnMut(&[&'a Step], &'a Difference)) {
        fn below<'a>(
            node: &'a Difference,
            steps: &mut Vec<&'a Step>,
            visit: &mut dyn FnMut(&[&'a Step], &'a Difference),
        ) {
            steps.push(&node.step);
            if node.children.is_empty() {
                visit(steps, node);
            }
            for child in &node.children {
                below(child, steps, visit);
            }
            steps.pop();
        }
        below(self, &mut Vec::new(), visit);
    }
}

/// How a thing is found in what holds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    pub kind: StepKind,
    /// As it stands in the container; not always UTF-8.
    pub name: Vec<u8>,
    /// Counts from zero among things of the same kind and name.
    pub occurrence: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepKind {
    /// What was given to [`crate::compare`].
    Root,
    /// In a directory of the host.
    Entry,
    /// In an archive or a file system.
    Member,
    /// What a compressed stream holds.
    Content,
    /// Of a program.
    Section,
    /// Of a disk.
    Partition,
    /// One value of a header or of metadata.
    Field,
    /// A JSON pointer.
    Pointer,
    /// A run of bytes that has a meaning but no name of its own.
    Part,
    /// The sequence of what is inside.
    Sequence,
}

impl Step {
    pub(crate) fn new(kind: StepKind, name: impl Into<Vec<u8>>) -> Self {
        Self { kind, name: name.into(), occurrence: 0 }
    }
}

/// As a person would say it: `section '.linux'`, `partition 'ROOT-A'`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = printable(&self.name);
        match self.kind {
            StepKind::Root | StepKind::Entry | StepKind::Member | StepKind::Part => f.write_str(&name)?,
            StepKind::Content => write!(f, "contents")?,
            StepKind::Section => write!(f, "section '{name}'")?,
            StepKind::Partition => write!(f, "partition '{name}'")?,
            StepKind::Field => write!(f, "{name}")?,
            StepKind::Pointer if name.is_empty() => write!(f, "value")?,
            StepKind::Pointer => write!(f, "value at {name}")?,
            StepKind::Sequence => write!(f, "order of {name}")?,
        }
        if self.occurrence != 0 {
            write!(f, " (number {})", u64::from(self.occurrence) + 1)?;
        }
        Ok(())
    }
}

/// In which way a thing differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Only one side has it.
    OnlyLeft,
    OnlyRight,
    /// The sides are different things: a directory and a file, gzip and text.
    Kind(Sides<&'static str>),
    /// A value, as text; long ones are cut, with a note.
    Value(Sides<Vec<u8>>),
    /// Bytes.
    Bytes,
    /// Lines.
    Text,
    /// The same things in another sequence.
    Order,
    /// What the container holds is equal, how it holds it is not.
    Encoding,
    /// The children say.
    Inside,
}

/// Something of each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sides<T> {
    pub left: T,
    pub right: T,
}

impl<T> Sides<T> {
    pub fn swapped(self) -> Self {
        Self { left: self.right, right: self.left }
    }
}

/// Where bytes differ, within the thing itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The first byte that differs or that only one side has.
    pub first_offset: u64,
    /// Bytes that differ where both sides have bytes.
    pub bytes: u64,
    /// Runs of them; up to fifteen equal bytes in between do not end a run.
    pub runs: u64,
}

/// Both sides, where they differ first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excerpt {
    /// Bytes from `offset` on.
    Bytes { offset: u64, sides: Sides<Vec<u8>> },
    /// Lines as in a unified diff; `omitted` further lines differ.
    Lines { lines: Vec<Line>, omitted: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub side: LineSide,
    /// Counts from one, on its side (on the left for lines of both).
    pub number: u64,
    /// Without its end, cut if long.
    pub text: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineSide {
    Both,
    Left,
    Right,
}

/// A known class of cause, with what points to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hint {
    pub class: Class,
    /// A sentence without a full stop.
    pub evidence: String,
}

/// Classes of causes. A hint is evidence, never a verdict: several may apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Timestamp,
    Path,
    Order,
    RandomId,
    Owner,
    Mode,
    Locale,
    Zone,
    Compression,
    Host,
}

impl Class {
    /// The word that reports use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::Path => "path",
            Self::Order => "order",
            Self::RandomId => "random-id",
            Self::Owner => "owner",
            Self::Mode => "mode",
            Self::Locale => "locale",
            Self::Zone => "zone",
            Self::Compression => "compression",
            Self::Host => "host",
        }
    }
}

/// Bytes as text that can be turned back: what is not printable is `\xNN`, and
/// a backslash is doubled.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                character if is_plain(character) => text.push(character),
                character => {
                    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                        text.push_str(&format!("\\x{byte:02x}"));
                    }
                }
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Whether a terminal shows a character as itself. Marks that turn the
/// direction of writing, or that have no width, could hide what a report says.
fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_text_can_be_turned_back() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(printable(bytes), expected);
        check(b"plain name", "plain name");
        check("ж\u{202e}".as_bytes(), "ж\\xe2\\x80\\xae");
        check(b"a\\b\n\xff\x00", "a\\\\b\\n\\xff\\x00");
    }
}
