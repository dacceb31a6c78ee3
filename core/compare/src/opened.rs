//! What a format's reader hands over: one side, opened, not yet compared.
//!
//! Readers know one format each and nothing of comparing; the engine pairs
//! what two of them found.

use crate::difference::{Class, Step, StepKind};
use crate::source::{Refusal, Scratch, Source};

/// A container that was opened.
#[derive(Default)]
pub(crate) struct Opened {
    /// What its own header says.
    pub(crate) fields: Vec<Field>,
    pub(crate) members: Vec<Member>,
    /// What members are called where their sequence is part of the format.
    pub(crate) sequence: Option<&'static str>,
    /// Where what begins, for bytes that no member explains.
    pub(crate) places: Vec<(u64, String)>,
    /// The container does nothing but make its contents smaller.
    pub(crate) is_compression: bool,
    pub(crate) notes: Vec<String>,
}

/// One value of a header.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) value: Vec<u8>,
    /// What it is by its meaning in the format.
    pub(crate) class: Option<Class>,
}

impl Field {
    pub(crate) fn new(name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        Self { name, value: value.into(), class: None }
    }

    pub(crate) fn number(name: &'static str, value: impl Into<u64>) -> Self {
        Self::new(name, value.into().to_string())
    }

    pub(crate) fn hex(name: &'static str, value: impl Into<u64>) -> Self {
        Self::new(name, format!("{:#x}", value.into()))
    }

    pub(crate) fn seconds(name: &'static str, value: i64) -> Self {
        Self { class: Some(Class::Timestamp), ..Self::new(name, crate::fields::seconds(value)) }
    }

    pub(crate) fn owner(name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        Self { class: Some(Class::Owner), ..Self::new(name, value) }
    }

    pub(crate) fn mode(value: u32) -> Self {
        Self { class: Some(Class::Mode), ..Self::new("mode", format!("{value:04o}")) }
    }

    pub(crate) fn id(name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        Self { class: Some(Class::RandomId), ..Self::new(name, value) }
    }
}

/// One thing inside.
pub(crate) struct Member {
    pub(crate) step: Step,
    pub(crate) fields: Vec<Field>,
    pub(crate) content: Content,
}

impl Member {
    pub(crate) fn new(kind: StepKind, name: impl Into<Vec<u8>>, content: Content) -> Self {
        Self { step: Step::new(kind, name), fields: Vec::new(), content }
    }

    /// A run of bytes without a name of its own.
    pub(crate) fn part(name: impl Into<Vec<u8>>, source: Source) -> Self {
        Self::new(StepKind::Part, name, Content::Bytes(source))
    }
}

pub(crate) enum Content {
    None,
    /// Stored as it is.
    Bytes(Source),
    /// Has to be unpacked, which is done only if the stored bytes differ.
    Stored(Stored),
    /// A table, with what it says as lines; these are made only if the bytes
    /// differ. Where both sides say the same, the bytes are compared.
    Listing {
        bytes: Source,
        lines: Lines,
        of: &'static str,
    },
}

impl Content {
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Bytes(bytes) | Self::Listing { bytes, .. } => Some(bytes.size()),
            Self::Stored(stored) => Some(stored.size),
        }
    }
}

pub(crate) type Lines = Box<dyn Fn() -> Result<Vec<Vec<u8>>, Refusal>>;
type Unpack = Box<dyn Fn(&Scratch) -> Result<Source, Refusal>>;

/// Contents in pieces.
pub(crate) struct Stored {
    /// Unpacked.
    pub(crate) size: u64,
    /// The pieces as they lie, each with what else decides about what it
    /// unpacks to. Equal pieces in equal sequence unpack to equal contents.
    pub(crate) pieces: Vec<(Source, u64)>,
    pub(crate) unpack: Unpack,
}
