//! What time it is, as far as anybody can know.
//!
//! A clock that is behind would believe what has expired; so it is never before
//! the image was made, nor before the newest timestamp that was verified was
//! signed. A clock that is ahead believes nothing until it is right again: it is
//! never written down, so that it cannot keep a node from updates for longer.

use std::time::SystemTime;

use osbuild_tuf::client::Kept;
use osbuild_tuf::metadata::{Envelope, TIMESTAMP, Timestamp};
use osbuild_tuf::time::Time;

/// # Panics
/// Never: a clock before 1970 counts as 1970.
pub fn now(epoch: Time, kept: &Kept) -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    at_least(Time(since.map_or(0, |since| since.as_secs())), epoch, kept)
}

fn at_least(clock: Time, epoch: Time, kept: &Kept) -> Time {
    let timestamp =
        kept.timestamp.as_ref().and_then(|bytes| Envelope::<Timestamp>::parse(TIMESTAMP, bytes).ok());
    let signed = timestamp.and_then(|envelope| {
        let Timestamp { signed_at, common, .. } = envelope.unverified();
        // What says that it was signed after its end says nothing.
        signed_at.filter(|signed| *signed < common.expires)
    });
    clock.max(epoch).max(signed.unwrap_or(Time(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use osbuild_tuf::metadata::{Common, Hashes, Pin};
    use std::collections::BTreeMap;

    fn kept(signed_at: u64, expires: u64) -> Kept {
        let pin = Pin { version: 1, length: None, hashes: Some(Hashes::sha256(&[0; 32])) };
        let timestamp = Timestamp {
            common: Common::new(TIMESTAMP, 1, Time(expires)),
            meta: BTreeMap::from([("snapshot.json".to_owned(), pin)]),
            signed_at: Some(Time(signed_at)),
        };
        Kept { timestamp: Some(Envelope::unsigned(timestamp).to_bytes()), ..Kept::default() }
    }

    #[test]
    fn a_clock_that_is_behind_is_set_forward_and_one_ahead_is_not_set_back() {
        let epoch = Time(1000);
        for (clock, kept, expected) in [
            (0, Kept::default(), 1000),
            (1500, Kept::default(), 1500),
            (1500, kept(2000, 3000), 2000),
            (2500, kept(2000, 3000), 2500),
            (9_000_000, kept(2000, 3000), 9_000_000),
            (1500, kept(5000, 3000), 1500),
        ] {
            assert_eq!(at_least(Time(clock), epoch, &kept), Time(expected), "{clock}");
        }
    }
}
