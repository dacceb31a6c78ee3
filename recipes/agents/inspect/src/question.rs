//! What may be asked, and with which values. Containers that were given the
//! API's socket choose them, so nothing here is taken on trust.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    Services { name: Option<UnitName> },
    Logs(Logs),
    Boot,
    Slots,
    Report,
}

/// Which lines of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    pub unit: Option<UnitName>,
    /// Seconds since 1970.
    pub since: Option<u64>,
    /// The first lines of this start instead of the last.
    pub from_boot: bool,
    /// At most so many.
    pub lines: u32,
    /// This one and worse: 0 (emerg) to 7 (debug).
    pub priority: Option<u8>,
    /// The kernel's alone.
    pub kernel: bool,
}

/// The name of a unit.
///
/// # Invariants
/// As systemd.unit(5) has it: at most 255 bytes of its alphabet, with the
/// suffix of a type; so it is no pattern, no option and no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitName(String);

/// Why a question is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    subject: String,
    query: BTreeMap<String, String>,
}

const MOST_LINES: u32 = 10_000;
const DEFAULT_LINES: u32 = 200;

impl Question {
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn parse(bytes: &[u8], now: SystemTime) -> Result<Self, Refused> {
        let Asked { subject, mut query } = serde_json::from_slice(bytes)
            .map_err(|error| Refused(format!("the question is not understood: {error}")))?;
        let question = match subject.as_str() {
            "services" => Self::Services { name: take(&mut query, "name", UnitName::parse)? },
            "logs" => Self::Logs(Logs::take(&mut query, now)?),
            "boot" => Self::Boot,
            "slots" => Self::Slots,
            "report" => Self::Report,
            _ => return Err(Refused(format!("nobody knows about '{subject}'"))),
        };
        match query.keys().next() {
            Some(key) => Err(Refused(format!("{subject} has no '{key}'"))),
            None => Ok(question),
        }
    }
}

impl Logs {
    /// The last lines of a unit.
    pub fn last_of(unit: &UnitName, lines: u32) -> Self {
        Self { unit: Some(unit.clone()), since: None, from_boot: false, lines, priority: None, kernel: false }
    }

    fn take(query: &mut BTreeMap<String, String>, now: SystemTime) -> Result<Self, Refused> {
        Ok(Self {
            unit: take(query, "unit", UnitName::parse)?,
            since: take(query, "since", |text| since(text, now))?,
            from_boot: take(query, "from", |text| word(text, "boot"))?.is_some(),
            lines: take(query, "lines", lines)?.unwrap_or(DEFAULT_LINES),
            priority: take(query, "priority", priority)?,
            kernel: take(query, "source", |text| word(text, "kernel"))?.is_some(),
        })
    }
}

impl UnitName {
    const MOST_BYTES: usize = 255;
    const TYPES: [&str; 11] = [
        "service",
        "socket",
        "target",
        "device",
        "mount",
        "automount",
        "swap",
        "timer",
        "path",
        "slice",
        "scope",
    ];

    /// A name without a type is a service's.
    fn parse(text: &str) -> Result<Self, String> {
        let is_of_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
        let has_type = text.rsplit_once('.').is_some_and(|(_, suffix)| Self::TYPES.contains(&suffix));
        let name = if has_type { text.to_owned() } else { format!("{text}.service") };
        let is_name = !name.starts_with(['.', '@'])
            && name.len() <= Self::MOST_BYTES
            && name.bytes().all(is_of_alphabet);
        if is_name {
            Ok(Self(name))
        } else {
            Err("expected the name of a unit, as containerd.service".to_owned())
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn take<T>(
    query: &mut BTreeMap<String, String>,
    name: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Refused> {
    let Some(text) = query.remove(name) else { return Ok(None) };
    read(&text).map(Some).map_err(|expected| Refused(format!("{name}: {expected}")))
}

fn word(text: &str, only: &str) -> Result<(), String> {
    if text == only { Ok(()) } else { Err(format!("expected {only}")) }
}

fn lines(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(lines @ 1..=MOST_LINES) => Ok(lines),
        _ => Err(format!("expected a number from 1 to {MOST_LINES}")),
    }
}

/// By name or number, as syslog(3) has them.
fn priority(text: &str) -> Result<u8, String> {
    const NAMES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
    let by_name = NAMES.iter().position(|name| *name == text);
    let number = by_name.or_else(|| text.parse().ok().filter(|number| *number < NAMES.len()));
    number
        .and_then(|number| u8::try_from(number).ok())
        .ok_or_else(|| format!("expected one of {}, or 0 to 7", NAMES.join(", ")))
}

/// A time, or how long before `now`; in seconds since 1970.
fn since(text: &str, now: SystemTime) -> Result<u64, String> {
    let ago = |ago: Duration| now.checked_sub(ago).unwrap_or(UNIX_EPOCH);
    let at = humantime::parse_rfc3339(text).or_else(|_| humantime::parse_duration(text).map(ago));
    let at = at.map_err(|_: humantime::DurationError| {
        "expected a time, as 2030-01-31T12:00:00Z, or how long ago, as 15m".to_owned()
    })?;
    Ok(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(subject: &str, query: &[(&str, &str)]) -> Result<Question, String> {
        let query: BTreeMap<&str, &str> = query.iter().copied().collect();
        let asked = serde_json::json!({ "subject": subject, "query": query }).to_string();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        Question::parse(asked.as_bytes(), now).map_err(|refused| refused.0)
    }

    fn unit(text: &str) -> Result<String, String> {
        UnitName::parse(text).map(|name| name.0)
    }

    #[test]
    fn questions_are_understood() {
        assert_eq!(parse("boot", &[]), Ok(Question::Boot));
        assert_eq!(parse("services", &[]), Ok(Question::Services { name: None }));
        let name = UnitName("a.service".to_owned());
        assert_eq!(parse("services", &[("name", "a")]), Ok(Question::Services { name: Some(name.clone()) }));
        let all = [
            ("unit", "a.service"),
            ("since", "15m"),
            ("from", "boot"),
            ("lines", "7"),
            ("priority", "err"),
            ("source", "kernel"),
        ];
        let logs = Logs {
            unit: Some(name),
            since: Some(999_100),
            from_boot: true,
            lines: 7,
            priority: Some(3),
            kernel: true,
        };
        assert_eq!(parse("logs", &all), Ok(Question::Logs(logs)));
        let at = parse("logs", &[("since", "1970-01-01T00:01:00Z")]);
        assert!(matches!(at, Ok(Question::Logs(Logs { since: Some(60), lines: 200, .. }))), "{at:?}");
        // Longer ago than there was time.
        let ever = parse("logs", &[("since", "100years")]);
        assert!(matches!(ever, Ok(Question::Logs(Logs { since: Some(0), .. }))), "{ever:?}");
    }

    #[test]
    fn what_is_no_question_is_refused() {
        for (subject, name, value, expected) in [
            ("more", "", "", "nobody knows about 'more'"),
            ("boot", "unit", "a", "boot has no 'unit'"),
            ("logs", "lines", "0", "lines: expected a number from 1 to 10000"),
            ("logs", "lines", "10001", "lines: expected a number from 1 to 10000"),
            ("logs", "lines", "-1", "lines: expected a number from 1 to 10000"),
            ("logs", "from", "start", "from: expected boot"),
            ("logs", "source", "user", "source: expected kernel"),
            ("logs", "priority", "8", "priority: expected one of emerg,"),
            ("logs", "since", "yesterday", "since: expected a time,"),
            ("logs", "since", "", "since: expected a time,"),
            ("logs", "since", "99999999999999999999years", "since: expected a time,"),
            ("logs", "unit", "--help/x", "unit: expected the name of a unit"),
        ] {
            let query = [(name, value)];
            let refused = parse(subject, if name.is_empty() { &[] } else { &query }).unwrap_err();
            assert!(refused.starts_with(expected), "{subject} {name}={value}: {refused}");
        }
        for bent in [&b""[..], b"{}", b"\xff", br#"{"subject":1,"query":{}}"#, br#"{"subject":"boot"}"#] {
            assert!(Question::parse(bent, UNIX_EPOCH).is_err());
        }
    }

    #[test]
    fn names_of_units_are_systemds() {
        for (text, name) in [
            ("containerd", "containerd.service"),
            ("containerd.service", "containerd.service"),
            ("host-container@admin", "host-container@admin.service"),
            ("run-osbuild-private.mount", "run-osbuild-private.mount"),
            ("-.mount", "-.mount"),
            ("--help", "--help.service"),
            (r"dev-disk-by\x2did.device", r"dev-disk-by\x2did.device"),
            ("a.b", "a.b.service"),
        ] {
            assert_eq!(unit(text).as_deref(), Ok(name));
        }
        let long = "a".repeat(248);
        for text in
            ["", "*", "a*", "a?", "[a]", "a b", "../a", "a/b", ".service", "@a", "ä", "a\n", "a\0", &long]
        {
            assert!(unit(text).is_err(), "{text:?}");
        }
    }
}
