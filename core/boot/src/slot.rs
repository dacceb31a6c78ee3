//! A slot's bits in the GPT attributes of its BOOT entry.

use crate::layout::Role;

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    A,
    B,
}

impl Slot {
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub const fn boot(self) -> Role {
        match self {
            Self::A => Role::BootA,
            Self::B => Role::BootB,
        }
    }

    pub const fn root(self) -> Role {
        match self {
            Self::A => Role::RootA,
            Self::B => Role::RootB,
        }
    }

    pub const fn hash(self) -> Role {
        match self {
            Self::A => Role::HashA,
            Self::B => Role::HashB,
        }
    }

    /// `A` or `B`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }
}

/// The bits of one slot.
///
/// # Invariants
/// `priority` ≤ 15 and `tries` ≤ 15: what the fields can hold. The law itself
/// uses priorities 0–2 and tries 0–3; more, on a disk from elsewhere, counts
/// as just that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bits {
    /// Higher starts first; 0 is never started. Attribute bits 48–51.
    pub priority: u8,
    /// Starts left before the other slot's turn. Attribute bits 52–55.
    pub tries: u8,
    /// Was committed by its own health check. Attribute bit 56.
    pub successful: bool,
    /// Is started although no tries were left. Attribute bit 57.
    pub forced: bool,
}

/// What the bits say of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing to start.
    Empty,
    /// Never committed, tries left.
    Trial,
    /// Never committed, tries used up.
    Tried,
    /// Committed, tries left.
    Good,
    /// Committed once, tries used up.
    Spent,
}

const PRIORITY_SHIFT: u32 = 48;
const TRIES_SHIFT: u32 = 52;
const SUCCESSFUL: u64 = 1 << 56;
const FORCED: u64 = 1 << 57;
const OURS: u64 = 0x03ff << PRIORITY_SHIFT;

impl Bits {
    pub const EMPTY: Self = Self { priority: 0, tries: 0, successful: false, forced: false };
    /// A slot that was just written, or the factory's.
    pub const TRIAL: Self = Self { priority: 2, tries: 3, successful: false, forced: false };
    /// A slot that was just committed.
    pub const GOOD: Self = Self { priority: 2, tries: 3, successful: true, forced: false };

    pub const fn from_attributes(attributes: u64) -> Self {
        Self {
            priority: (attributes >> PRIORITY_SHIFT & 0xf) as u8,
            tries: (attributes >> TRIES_SHIFT & 0xf) as u8,
            successful: attributes & SUCCESSFUL != 0,
            forced: attributes & FORCED != 0,
        }
    }

    /// The attributes with these bits; all others stay as they were.
    pub const fn to_attributes(self, attributes: u64) -> u64 {
        (attributes & !OURS)
            | (self.priority as u64 & 0xf) << PRIORITY_SHIFT
            | (self.tries as u64 & 0xf) << TRIES_SHIFT
            | if self.successful { SUCCESSFUL } else { 0 }
            | if self.forced { FORCED } else { 0 }
    }

    pub const fn state(self) -> State {
        match (self.priority, self.tries, self.successful) {
            (0, _, _) => State::Empty,
            (_, 0, false) => State::Tried,
            (_, 0, true) => State::Spent,
            (_, _, false) => State::Trial,
            (_, _, true) => State::Good,
        }
    }
}

/// Both slots' bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    pub a: Bits,
    pub b: Bits,
}

impl Pair {
    /// The factory disk (law, F1).
    pub const FACTORY: Self = Self { a: Bits::TRIAL, b: Bits::EMPTY };

    pub const fn of(&self, slot: Slot) -> Bits {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }

    #[must_use]
    pub const fn with(mut self, slot: Slot, bits: Bits) -> Self {
        match slot {
            Slot::A => self.a = bits,
            Slot::B => self.b = bits,
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_stand_where_the_law_puts_them() {
        let attributes = Bits { priority: 2, tries: 3, successful: true, forced: true }.to_attributes(1);
        assert_eq!(attributes, 1 | 2 << 48 | 3 << 52 | 1 << 56 | 1 << 57);
        assert_eq!(Bits::from_attributes(attributes).to_attributes(1), attributes);
        assert_eq!(Bits::EMPTY.to_attributes(attributes), 1);
    }
}
