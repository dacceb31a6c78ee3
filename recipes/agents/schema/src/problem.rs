//! What is wrong with settings, in words that say what would be right.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: a setting, and the way below it.
    pub at: String,
    /// In the text that it was read from, from 1.
    pub line: Option<usize>,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The schema has no such setting.
    Unknown {
        nearest: Option<String>,
    },
    /// It is a group of settings, and was given a value.
    Group,
    Value {
        expected: String,
        found: String,
    },
    /// The name of an entry.
    Name {
        expected: &'static str,
    },
    TooLong {
        bytes: usize,
        most: usize,
    },
    TooMany {
        count: usize,
        most: usize,
    },
    TooDeep {
        most: usize,
    },
    Twice,
    Missing,
}

impl Problem {
    pub(crate) fn new(at: &str, what: What) -> Self {
        Self { at: at.to_owned(), line: None, what }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}: {}", self.at, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { nearest: None } => f.write_str("no such setting"),
            Self::Unknown { nearest: Some(nearest) } => {
                write!(f, "no such setting; did you mean {nearest}?")
            }
            Self::Group => f.write_str("is a group of settings and has no value of its own"),
            Self::Value { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::Name { expected } => write!(f, "the name is not {expected}"),
            Self::TooLong { bytes, most } => write!(f, "is {bytes} bytes long, at most {most} are allowed"),
            Self::TooMany { count, most } => write!(f, "has {count} entries, at most {most} are allowed"),
            Self::TooDeep { most } => write!(f, "is nested more than {most} deep"),
            Self::Twice => f.write_str("is there twice"),
            Self::Missing => f.write_str("is missing"),
        }
    }
}

/// The name that was meant, if one is near.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    /// Above it, people agree that it is a slip.
    const LEAST: f64 = 0.8;
    let scored = names.map(|other| {
        // Groups that both lie in say nothing.
        let shared = name.split_inclusive('.').zip(other.split_inclusive('.'));
        let shared: usize = shared.take_while(|(one, two)| one == two).map(|(one, _)| one.len()).sum();
        let (name, meant) = (&name[shared..], &other[shared..]);
        // In a short name one slip is much of it.
        let is_slip = name.len() > 2 && strsim::damerau_levenshtein(name, meant) == 1;
        (if is_slip { 1.0 } else { strsim::jaro_winkler(name, meant) }, other)
    });
    let best = scored.max_by(|one, other| one.0.total_cmp(&other.0));
    best.filter(|(score, _)| *score >= LEAST).map(|(_, name)| name.to_owned())
}
