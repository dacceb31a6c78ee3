//! What time it is, as far as this node knows by itself.
//!
//! A clock that is behind would believe what has expired; so it is never before
//! the image was made, nor (`osbuild_tuf::client::Client::refresh_by_slow_clock`)
//! before the newest timestamp was signed. A clock that is ahead believes nothing
//! until it is right again: it is never written down, so that it cannot keep a
//! node from updates for longer.

use std::time::SystemTime;

use osbuild_tuf::time::Time;

/// A clock before 1970 counts as 1970.
pub fn now(epoch: Time) -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Time(since.map_or(0, |since| since.as_secs())).max(epoch)
}
