//! Points in time, as metadata writes them: `2026-11-28T04:40:00Z`.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Whole seconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

/// The one form of the specification (§4.2.1); no fractions, no other zones.
const FORM: &str = "YYYY-MM-DDTHH:MM:SSZ";

impl Time {
    /// `None` for any other form.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != FORM.len() {
            return None;
        }
        let since = humantime::parse_rfc3339(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Self(since.as_secs()))
    }

    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is beyond the calendar's years is not worth an error of its own.
        const LAST: u64 = 253_402_300_799;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.min(LAST));
        write!(f, "{}", humantime::format_rfc3339_seconds(time))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is not a time ({FORM})")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_and_no_other() {
        let text = "2030-01-02T03:04:05Z";
        assert_eq!(Time::parse(text).unwrap().to_string(), text);
        for wrong in [
            "2030-01-02T03:04:05",
            "2030-01-02T03:04:05.0Z",
            "2030-01-02 03:04:05Z",
            "2030-13-02T03:04:05Z",
            "",
        ] {
            assert_eq!(Time::parse(wrong), None, "{wrong}");
        }
    }
}
