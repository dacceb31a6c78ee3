//! What each stopped call is told: pure on bytes, but for where they lie.
//!
//! Times. The kernel's time t, from the start of the sandbox on, is shown as t
//! plus the offset, whether a clock tells it or a file's times do; what a
//! program sets as a file's time, or waits for, goes back by the same way. What
//! is older (a file whose times were set to a fixed date) stays as it is.

use std::collections::BTreeMap;
use std::mem::offset_of;
use std::time::{SystemTime, UNIX_EPOCH};

use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use super::Told;
use super::tracee::{Call, Tracee};

/// The calls to stop. Those that the sandbox refuses are refused before.
pub(crate) fn filter(told: &Told) -> BTreeMap<i64, Vec<SeccompRule>> {
    let mut calls = BTreeMap::new();
    let mut always = |numbers: &[i64]| calls.extend(numbers.iter().map(|number| (*number, Vec::new())));
    if told.reverses_directories {
        always(&[libc::SYS_getdents64]);
    }
    if told.kernel_release.is_some() {
        always(&[libc::SYS_uname]);
    }
    if told.memory_bytes.is_some() {
        always(&[libc::SYS_sysinfo]);
    }
    if told.clock_offset_seconds != 0 {
        always(&[
            libc::SYS_gettimeofday,
            libc::SYS_newfstatat,
            libc::SYS_fstat,
            libc::SYS_statx,
            libc::SYS_utimensat,
        ]);
        #[cfg(target_arch = "x86_64")]
        always(&[
            libc::SYS_time,
            libc::SYS_stat,
            libc::SYS_lstat,
            libc::SYS_utime,
            libc::SYS_utimes,
            libc::SYS_futimesat,
        ]);
        let equal = |argument: u8, value: u64| condition(argument, SeccompCmpOp::Eq, value);
        calls.insert(libc::SYS_clock_gettime, WALL_CLOCKS.map(|clock| rule(vec![equal(0, clock)])).to_vec());
        let absolute = condition(1, SeccompCmpOp::MaskedEq(ABSOLUTE), ABSOLUTE);
        calls.insert(
            libc::SYS_clock_nanosleep,
            WALL_CLOCKS.map(|clock| rule(vec![equal(0, clock), absolute.clone()])).to_vec(),
        );
        // Of these the timeout is a time of the wall clock.
        let wall = condition(1, SeccompCmpOp::MaskedEq(FUTEX_CLOCK_REALTIME), FUTEX_CLOCK_REALTIME);
        let lock = condition(1, SeccompCmpOp::MaskedEq(FUTEX_COMMAND), FUTEX_LOCK_PI);
        calls.insert(libc::SYS_futex, vec![rule(vec![wall]), rule(vec![lock])]);
    }
    calls
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> SeccompCondition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
        .expect("arguments are numbered from 0 to 5")
}

fn rule(conditions: Vec<SeccompCondition>) -> SeccompRule {
    SeccompRule::new(conditions).expect("there are conditions")
}

/// `CLOCK_REALTIME`, its coarse form, its alarm, international atomic time.
const WALL_CLOCKS: [u64; 4] = [0, 5, 8, 11];
/// `TIMER_ABSTIME`.
const ABSOLUTE: u64 = 1;
const FUTEX_CLOCK_REALTIME: u64 = 256;
/// All of the operation but its flags.
const FUTEX_COMMAND: u64 = 127;
const FUTEX_LOCK_PI: u64 = 6;

/// What to do when the call has its result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AtExit {
    /// Seconds stand at each of these addresses.
    Seconds(Vec<u64>),
    /// The result is seconds, and may stand at an address too.
    TimeOfResult(u64),
    /// A list of directory entries, as long as the result.
    Entries(u64),
    Uname(u64),
    Sysinfo(u64),
    /// What the program had written there before we changed it.
    Restore(u64, Vec<u8>),
}

/// Knows what is told.
pub(super) struct Teller {
    told: Told,
    /// Seconds since the epoch; times before are nobody's present.
    started: i64,
}

impl Teller {
    pub(super) fn new(told: Told) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Its directories were made a moment ago.
        Self { told, started: now.as_secs() as i64 - 60 }
    }

    /// The kernel's time as it is shown.
    fn shown(&self, seconds: i64) -> i64 {
        if seconds < self.started { seconds } else { seconds + self.told.clock_offset_seconds }
    }

    /// A time that was shown, as the kernel's.
    fn meant(&self, seconds: i64) -> i64 {
        let offset = self.told.clock_offset_seconds;
        if seconds < self.started + offset { seconds } else { seconds - offset }
    }

    /// What is to be done once the call has its result; `None` for nothing.
    pub(super) fn entered(&self, call: &Call, tracee: Tracee) -> Option<AtExit> {
        let [first, second, third, fourth, fifth, _] = call.arguments;
        let times = |base: u64, offsets: &[usize]| {
            (base != 0).then(|| AtExit::Seconds(offsets.iter().map(|offset| base + *offset as u64).collect()))
        };
        const STAT: [usize; 3] = [
            offset_of!(libc::stat, st_atime),
            offset_of!(libc::stat, st_mtime),
            offset_of!(libc::stat, st_ctime),
        ];
        const STATX: [usize; 4] = [
            offset_of!(libc::statx, stx_atime),
            offset_of!(libc::statx, stx_btime),
            offset_of!(libc::statx, stx_ctime),
            offset_of!(libc::statx, stx_mtime),
        ];
        match call.number {
            libc::SYS_clock_gettime => times(second, &[0]),
            libc::SYS_gettimeofday => times(first, &[0]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_time => Some(AtExit::TimeOfResult(first)),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_stat | libc::SYS_lstat => times(second, &STAT),
            libc::SYS_fstat => times(second, &STAT),
            libc::SYS_newfstatat => times(third, &STAT),
            libc::SYS_statx => times(fifth, &STATX),
            // Two times, of which nanoseconds can say "now" and "as it is".
            libc::SYS_utimensat => self.set(tracee, third, &[0, 16]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_futimesat => self.set(tracee, third, &[0, 16]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_utimes => self.set(tracee, second, &[0, 16]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_utime => self.set(tracee, second, &[0, 8]),
            libc::SYS_clock_nanosleep => self.set(tracee, third, &[0]),
            libc::SYS_futex => self.set(tracee, fourth, &[0]),
            libc::SYS_getdents64 => Some(AtExit::Entries(second)),
            libc::SYS_uname => Some(AtExit::Uname(first)),
            libc::SYS_sysinfo => Some(AtExit::Sysinfo(first)),
            _ => None,
        }
    }

    /// Replaces times that the program hands in, until the call is over.
    fn set(&self, tracee: Tracee, address: u64, offsets: &[usize]) -> Option<AtExit> {
        if address == 0 {
            return None;
        }
        let mut bytes = vec![0; offsets.last()? + 8];
        if !tracee.read(address, &mut bytes) {
            return None;
        }
        let before = bytes.clone();
        for offset in offsets {
            change(&mut bytes, *offset, |seconds| self.meant(seconds));
        }
        (bytes != before && tracee.write(address, &bytes)).then_some(AtExit::Restore(address, before))
    }

    /// Changes the answer. What a program may not read or write is left alone:
    /// the kernel has told it so.
    pub(super) fn left(&self, then: AtExit, result: i64, tracee: Tracee) {
        match then {
            AtExit::Restore(address, bytes) => {
                tracee.write(address, &bytes);
            }
            _ if result < 0 => {}
            AtExit::Seconds(addresses) => {
                for address in addresses {
                    edit::<8>(tracee, address, |bytes| change(bytes, 0, |seconds| self.shown(seconds)));
                }
            }
            AtExit::TimeOfResult(address) => {
                #[cfg(target_arch = "x86_64")]
                tracee.set_result(self.shown(result));
                if address != 0 {
                    tracee.write(address, &self.shown(result).to_ne_bytes());
                }
            }
            AtExit::Entries(address) => {
                let mut bytes = vec![0; usize::try_from(result).unwrap_or(0).min(ENTRIES_MAXIMUM)];
                if tracee.read(address, &mut bytes) {
                    if let Some(reversed) = reversed(&bytes) {
                        tracee.write(address, &reversed);
                    }
                }
            }
            AtExit::Uname(address) => {
                let release = self.told.kernel_release.as_deref().unwrap_or_default();
                let mut field = [0; 65];
                let length = release.len().min(64);
                field[..length].copy_from_slice(&release.as_bytes()[..length]);
                tracee.write(address + offset_of!(libc::utsname, release) as u64, &field);
            }
            AtExit::Sysinfo(address) => {
                let bytes = self.told.memory_bytes.unwrap_or_default();
                // In units of `mem_unit`, which is 1 on machines of 64 bits.
                for offset in [offset_of!(libc::sysinfo, totalram), offset_of!(libc::sysinfo, freeram)] {
                    tracee.write(address + offset as u64, &bytes.to_ne_bytes());
                }
            }
        }
    }
}

/// More than any program's buffer; the kernel bounds the result by that.
const ENTRIES_MAXIMUM: usize = 16 << 20;

fn edit<const N: usize>(tracee: Tracee, address: u64, change: impl FnOnce(&mut [u8])) {
    let mut bytes = [0; N];
    if tracee.read(address, &mut bytes) {
        change(&mut bytes);
        tracee.write(address, &bytes);
    }
}

/// Changes the signed 64-bit number at an offset.
fn change(bytes: &mut [u8], offset: usize, by: impl FnOnce(i64) -> i64) {
    let field = &mut bytes[offset..offset + 8];
    let value = by(i64::from_ne_bytes((&*field).try_into().expect("eight bytes")));
    field.copy_from_slice(&value.to_ne_bytes());
}

/// The entries of a directory, last first; `None` if these are none. Where to
/// go on reading stands in each entry (`d_off`) and stays in its place, so that
/// whoever reads on after the last one gets what comes next.
///
/// Source: getdents(2), `struct linux_dirent64`.
fn reversed(bytes: &[u8]) -> Option<Vec<u8>> {
    const OFFSET: std::ops::Range<usize> = 8..16;
    const LENGTH: std::ops::Range<usize> = 16..18;
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = usize::from(u16::from_ne_bytes(rest.get(LENGTH)?.try_into().ok()?));
        if length < LENGTH.end || length > rest.len() {
            return None;
        }
        let (entry, after) = rest.split_at(length);
        entries.push(entry);
        rest = after;
    }
    let places: Vec<&[u8]> = entries.iter().map(|entry| &entry[OFFSET]).collect();
    let mut result = Vec::with_capacity(bytes.len());
    for (entry, place) in entries.iter().rev().zip(places) {
        let begin = result.len();
        result.extend_from_slice(entry);
        result[begin + OFFSET.start..begin + OFFSET.end].copy_from_slice(place);
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, offset: i64) -> Vec<u8> {
        let length = (19 + name.len() + 1).next_multiple_of(8);
        let mut bytes = Vec::new();
        bytes.extend(7u64.to_ne_bytes());
        bytes.extend(offset.to_ne_bytes());
        bytes.extend((length as u16).to_ne_bytes());
        bytes.push(8);
        bytes.extend(name.as_bytes());
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn entries_are_reversed_and_places_stay() {
        let list = [entry("a", 11), entry("longer-name", 12), entry("c", 13)].concat();
        let expected = [entry("c", 11), entry("longer-name", 12), entry("a", 13)].concat();
        assert_eq!(reversed(&list), Some(expected));
        assert_eq!(reversed(&[]), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_list_of_entries_is_left_alone() {
        let list = [entry("a", 1), entry("b", 2)].concat();
        for length in 1..list.len() {
            if length != 24 {
                assert_eq!(reversed(&list[..length]), None, "{length}");
            }
        }
        assert_eq!(reversed(&[0; 64]), None, "a length of zero would never end");
    }

    #[test]
    fn times_of_the_present_are_shifted_there_and_back() {
        let told = Told { clock_offset_seconds: 1000, ..Told::default() };
        let teller = Teller { told, started: 5000 };
        for (kernel, program) in [(1, 1), (4999, 4999), (5000, 6000), (5001, 6001)] {
            assert_eq!(teller.shown(kernel), program);
            assert_eq!(teller.meant(program), kernel);
        }
    }
}
