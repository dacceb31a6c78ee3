//! Numbers and texts out of structures, and how they are shown.

use crate::source::{CUT_OFF, Refusal};

/// Byte order of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) fn u16(self, bytes: &[u8], at: usize) -> Result<u16, Refusal> {
        let array = array(bytes, at)?;
        Ok(if self == Self::Little { u16::from_le_bytes(array) } else { u16::from_be_bytes(array) })
    }

    pub(crate) fn u32(self, bytes: &[u8], at: usize) -> Result<u32, Refusal> {
        let array = array(bytes, at)?;
        Ok(if self == Self::Little { u32::from_le_bytes(array) } else { u32::from_be_bytes(array) })
    }

    pub(crate) fn u64(self, bytes: &[u8], at: usize) -> Result<u64, Refusal> {
        let array = array(bytes, at)?;
        Ok(if self == Self::Little { u64::from_le_bytes(array) } else { u64::from_be_bytes(array) })
    }
}

pub(crate) fn le16(bytes: &[u8], at: usize) -> Result<u16, Refusal> {
    Order::Little.u16(bytes, at)
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> Result<u32, Refusal> {
    Order::Little.u32(bytes, at)
}

pub(crate) fn le64(bytes: &[u8], at: usize) -> Result<u64, Refusal> {
    Order::Little.u64(bytes, at)
}

pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Refusal> {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk());
    part.copied().ok_or(CUT_OFF)
}

/// Up to the first zero byte, or all.
pub(crate) fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `1700000000 (2023-11-14T22:13:20Z)`.
pub(crate) fn seconds(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let Some((year, month, day)) = civil(days) else {
        return seconds.to_string();
    };
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{seconds} ({year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z)")
}

/// Year, month and day of a day counted from 1970-01-01; none outside the
/// years 1 to 9999. Counted in eras of 400 years that begin in March, so that
/// the leap day is a year's last.
fn civil(days: i64) -> Option<(i64, i64, i64)> {
    let days = days.checked_add(719_468)?;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (1..=9999).contains(&year).then_some((year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_calendar() {
        let check = |at: i64, expected: &str| assert_eq!(seconds(at), expected);
        check(0, "0 (1970-01-01T00:00:00Z)");
        check(951_782_399, "951782399 (2000-02-28T23:59:59Z)");
        check(951_782_400, "951782400 (2000-02-29T00:00:00Z)");
        check(1_700_000_000, "1700000000 (2023-11-14T22:13:20Z)");
        check(-1, "-1 (1969-12-31T23:59:59Z)");
        check(i64::MAX, "9223372036854775807");
        check(i64::MIN, "-9223372036854775808");
    }
}
