//! What must survive beside the bits: the floor, what was refused, the record
//! of a trial under way, and what an operator ordered. Two generations with
//! checksums on PRIVATE: the older one is overwritten, the newest valid one
//! counts.
//!
//! PRIVATE lost means: floor of the running image, nothing refused.

use crate::crc32::crc32;

/// Size of one encoded generation.
pub const RECORD_BYTES: usize = 4096;
/// Refusals kept; the oldest makes room.
pub const MAX_REFUSED: usize = 24;
const VERSION_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"OSBPRIV1";

/// A release as it is refused or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// SemVer text, padded with zeros.
    pub version: [u8; VERSION_BYTES],
    pub root_hash: [u8; 32],
}

impl Release {
    /// `None` if the version is longer than 64 bytes.
    pub fn new(version: &str, root_hash: [u8; 32]) -> Option<Self> {
        let mut bytes = [0; VERSION_BYTES];
        bytes.get_mut(..version.len())?.copy_from_slice(version.as_bytes());
        Some(Self { version: bytes, root_hash })
    }

    pub fn version(&self) -> &str {
        let end = self.version.iter().position(|b| *b == 0).unwrap_or(VERSION_BYTES);
        core::str::from_utf8(&self.version[..end]).unwrap_or("")
    }
}

/// Why a trial ended, as far as anyone knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// It never said: a panic, a hang, a corrupt block, a power cut.
    Silent = 0,
    /// Its health contract did not hold by the deadline.
    Unhealthy = 1,
}

/// A refused release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub release: Release,
    pub reason: Reason,
}

/// The state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Private {
    /// Rises with every write.
    pub generation: u64,
    /// Releases with a smaller rollback index are not installed.
    pub floor: u64,
    /// The release in the other slot, written before it was activated.
    pub trial: Option<Release>,
    /// What the trial said of itself before it rebooted.
    pub verdict: Option<Reason>,
    /// O5: the release whose activation was cancelled. Its bytes are in the
    /// other slot until another release is written over them.
    pub staged: Option<Release>,
    /// O6: the release that an operator went back from; it is not installed
    /// again until the hold is lifted.
    pub hold: Option<Release>,
    /// The last release that an operator installed or went back to although
    /// it was below the floor or refused.
    pub forced: Option<Release>,
    /// O10: the last release that was armed again.
    pub rearmed: Option<Release>,
    refused: [Option<Refused>; MAX_REFUSED],
}

impl Default for Private {
    fn default() -> Self {
        Self {
            generation: 0,
            floor: 0,
            trial: None,
            verdict: None,
            staged: None,
            hold: None,
            forced: None,
            rearmed: None,
            refused: [None; MAX_REFUSED],
        }
    }
}

const RELEASE_BYTES: usize = VERSION_BYTES + 32;

impl Private {
    pub fn is_refused(&self, root_hash: &[u8; 32]) -> bool {
        self.refused().any(|refused| refused.release.root_hash == *root_hash)
    }

    pub fn refused(&self) -> impl Iterator<Item = &Refused> {
        self.refused.iter().flatten()
    }

    /// Adds a refusal; a release that is refused already is not added twice.
    pub fn refuse(&mut self, refused: Refused) {
        if self.is_refused(&refused.release.root_hash) {
            return;
        }
        if self.refused[MAX_REFUSED - 1].is_some() {
            self.refused.copy_within(1.., 0);
            self.refused[MAX_REFUSED - 1] = None;
        }
        if let Some(free) = self.refused.iter_mut().find(|entry| entry.is_none()) {
            *free = Some(refused);
        }
    }

    /// O9: whether the trial on record is that of what a slot holds, of which
    /// this is the root hash.
    pub fn is_on_trial(&self, root_hash: Option<[u8; 32]>) -> bool {
        self.trial.is_some_and(|trial| Some(trial.root_hash) == root_hash)
    }

    /// O2: what a release that runs says of itself; kept if it is on trial.
    pub fn note_verdict(&mut self, own: Option<[u8; 32]>, reason: Reason) {
        if self.is_on_trial(own) {
            self.verdict = Some(reason);
        }
    }

    /// O1, O8 and O9: the part of a commit that is written *before* the bits.
    /// `own` is the root hash of what commits.
    ///
    /// The record of a trial stays until the bits say how it ended: of a
    /// release that is cut off between the two and then fails without a word,
    /// the next commit of the other slot still finds whose trial it was.
    pub fn before_commit(&mut self, own: Option<[u8; 32]>, own_floor: u64, other_failed_its_trial: bool) {
        self.floor = self.floor.max(own_floor);
        if let (true, Some(release)) = (other_failed_its_trial, self.trial) {
            self.refuse(Refused { release, reason: self.verdict.unwrap_or(Reason::Silent) });
        }
        // It holds now, whatever it said at an earlier start.
        if self.is_on_trial(own) {
            self.verdict = None;
        }
    }

    /// O1: what is written once the bits are. Whether there is anything to
    /// write: where it is lost, the next commit does it.
    pub fn after_commit(&mut self) -> bool {
        let is_due = self.trial.is_some() || self.verdict.is_some();
        (self.trial, self.verdict) = (None, None);
        is_due
    }

    /// Encodes one generation.
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0u8; RECORD_BYTES];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[16..24].copy_from_slice(&self.generation.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.floor.to_le_bytes());
        bytes[32] = u8::from(self.trial.is_some());
        bytes[33] = self.verdict.map_or(0, |reason| reason as u8 + 1);
        if let Some(trial) = &self.trial {
            put_release(&mut bytes[40..40 + RELEASE_BYTES], trial);
        }
        for (index, refused) in self.refused().enumerate() {
            let at = refused_at(index);
            bytes[at] = refused.reason as u8 + 1;
            put_release(&mut bytes[at + 1..at + 1 + RELEASE_BYTES], &refused.release);
        }
        for (index, release) in [self.staged, self.hold, self.forced, self.rearmed].iter().enumerate() {
            let at = order_at(index);
            bytes[at] = u8::from(release.is_some());
            if let Some(release) = release {
                put_release(&mut bytes[at + 1..at + 1 + RELEASE_BYTES], release);
            }
        }
        let checksum = crc32(&[&bytes[12..]]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Decodes one generation; `None` if it is torn, foreign or too short.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; RECORD_BYTES] = bytes.try_into().ok()?;
        let checksum = u32::from_le_bytes(bytes[8..12].try_into().ok()?);
        if &bytes[0..8] != MAGIC || crc32(&[&bytes[12..]]) != checksum {
            return None;
        }
        let order = |index: usize| {
            let at = order_at(index);
            (bytes[at] == 1).then(|| take_release(&bytes[at + 1..]))
        };
        let mut state = Self {
            generation: u64::from_le_bytes(bytes[16..24].try_into().ok()?),
            floor: u64::from_le_bytes(bytes[24..32].try_into().ok()?),
            trial: (bytes[32] == 1).then(|| take_release(&bytes[40..])),
            verdict: reason(bytes[33]),
            staged: order(0),
            hold: order(1),
            forced: order(2),
            rearmed: order(3),
            refused: [None; MAX_REFUSED],
        };
        for (index, entry) in state.refused.iter_mut().enumerate() {
            let at = refused_at(index);
            *entry =
                reason(bytes[at]).map(|reason| Refused { release: take_release(&bytes[at + 1..]), reason });
        }
        Some(state)
    }

    /// The state that counts, of two generations as read; the default if
    /// neither is valid.
    pub fn newest(first: &[u8], second: &[u8]) -> Self {
        match (Self::decode(first), Self::decode(second)) {
            (Some(a), Some(b)) => {
                if b.generation > a.generation {
                    b
                } else {
                    a
                }
            }
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => Self::default(),
        }
    }

    /// Which of the two places the next generation goes to.
    pub const fn next_place(&self) -> usize {
        ((self.generation + 1) % 2) as usize
    }
}

const fn refused_at(index: usize) -> usize {
    256 + index * (RELEASE_BYTES + 1)
}

/// Behind the refusals, with room for some more of these; a record from before
/// there were any has zeros here, which say none.
const fn order_at(index: usize) -> usize {
    2816 + index * (RELEASE_BYTES + 1)
}

const fn reason(byte: u8) -> Option<Reason> {
    match byte {
        1 => Some(Reason::Silent),
        2 => Some(Reason::Unhealthy),
        _ => None,
    }
}

fn put_release(bytes: &mut [u8], release: &Release) {
    bytes[..VERSION_BYTES].copy_from_slice(&release.version);
    bytes[VERSION_BYTES..RELEASE_BYTES].copy_from_slice(&release.root_hash);
}

fn take_release(bytes: &[u8]) -> Release {
    let mut release = Release { version: [0; VERSION_BYTES], root_hash: [0; 32] };
    release.version.copy_from_slice(&bytes[..VERSION_BYTES]);
    release.root_hash.copy_from_slice(&bytes[VERSION_BYTES..RELEASE_BYTES]);
    release
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(number: u8) -> Release {
        Release::new("1.2.3", [number; 32]).unwrap()
    }

    #[test]
    fn survives_encoding_and_refuses_torn_records() {
        let mut state = Private {
            generation: 9,
            floor: 4,
            trial: Some(release(1)),
            staged: Some(release(3)),
            hold: Some(release(4)),
            forced: Some(release(5)),
            rearmed: Some(release(6)),
            ..Private::default()
        };
        for number in 0..MAX_REFUSED as u8 {
            state.refuse(Refused { release: release(number), reason: Reason::Unhealthy });
        }
        let bytes = state.encode();
        assert_eq!(Private::decode(&bytes), Some(state));
        for at in (0..RECORD_BYTES).step_by(97) {
            let mut torn = bytes;
            torn[at] ^= 1;
            assert_eq!(Private::decode(&torn), None, "byte {at}");
        }
    }

    #[test]
    fn the_newest_valid_generation_counts() {
        let old = Private { generation: 1, floor: 1, ..Private::default() };
        let new = Private { generation: 2, floor: 2, ..Private::default() };
        assert_eq!(Private::newest(&new.encode(), &old.encode()).floor, 2);
        assert_eq!(Private::newest(&[0; RECORD_BYTES], &old.encode()).floor, 1);
        assert_eq!(Private::newest(&[], &[]), Private::default());
        assert_ne!(old.next_place(), new.next_place());
    }

    #[test]
    fn a_commit_refuses_the_failed_trial_and_raises_the_floor() {
        let own = Some([1; 32]);
        let mut state = Private { floor: 3, trial: Some(release(7)), ..Private::default() };
        assert!(state.is_on_trial(Some([7; 32])) && !state.is_on_trial(own) && !state.is_on_trial(None));
        state.before_commit(own, 2, true);
        assert!(state.is_refused(&[7; 32]));
        assert_eq!((state.floor, state.trial), (3, Some(release(7))));
        assert!(state.after_commit() && !state.after_commit());
        assert_eq!(state.trial, None);
        state.before_commit(own, 5, false);
        assert_eq!(state.floor, 5);
    }

    #[test]
    fn only_a_trial_is_remembered_by_its_own_verdict() {
        let (own, other) = (Some([7; 32]), Some([1; 32]));
        let mut state = Private { trial: Some(release(7)), ..Private::default() };
        state.note_verdict(other, Reason::Unhealthy);
        assert_eq!(state.verdict, None);
        state.note_verdict(own, Reason::Unhealthy);
        assert_eq!(state.verdict, Some(Reason::Unhealthy));
        // The slot that takes over says it of the trial; the trial itself, once
        // it is healthy, of nobody.
        let mut taken_over = state;
        taken_over.before_commit(other, 0, true);
        assert_eq!(taken_over.refused().next().unwrap().reason, Reason::Unhealthy);
        state.before_commit(own, 0, false);
        assert_eq!((state.verdict, state.trial), (None, Some(release(7))));
    }

    #[test]
    fn the_list_of_refusals_is_bounded() {
        let mut state = Private::default();
        for number in 0..=MAX_REFUSED as u8 {
            state.refuse(Refused { release: release(number), reason: Reason::Silent });
        }
        assert_eq!(state.refused().count(), MAX_REFUSED);
        assert!(!state.is_refused(&[0; 32]) && state.is_refused(&[MAX_REFUSED as u8; 32]));
        assert_eq!(Private::decode(&state.encode()), Some(state));
    }
}
