//! What the node is told next: a pure question but for the memory of what was
//! told when.

use std::time::Duration;

use tokio::time::Instant;

use super::report::Look;

/// Before the same is said again: what it led to takes a while to be seen.
const AGAIN: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Order {
    /// Look at the repository: the updater forgets what it saw when it starts, and
    /// by itself looks only after hours.
    Check,
    Install(String),
    /// Into what was installed.
    Restart(String),
}

impl Order {
    pub fn path(&self) -> String {
        match self {
            Self::Check => "/v1/update/check".to_owned(),
            // Without `now`: its publisher and the node's own settings have a say.
            Self::Install(version) => format!("/v1/update/install?version={}", in_query(version)),
            Self::Restart(_) => "/v1/update/restart".to_owned(),
        }
    }

    /// What has to be wanted for it.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Check => None,
            Self::Install(version) | Self::Restart(version) => Some(version),
        }
    }
}

#[derive(Debug, Default)]
pub struct Memory {
    last: Option<(Order, Instant)>,
}

impl Memory {
    /// The order that is due; it is taken for given.
    pub fn next(&mut self, look: &Look, wanted: Option<&str>, now: Instant) -> Option<Order> {
        let order = due(look, wanted)?;
        let is_recent = |(last, at): &(Order, Instant)| *last == order && now.duration_since(*at) < AGAIN;
        if self.last.as_ref().is_some_and(is_recent) {
            return None;
        }
        self.last = Some((order.clone(), now));
        Some(order)
    }
}

fn due(look: &Look, wanted: Option<&str>) -> Option<Order> {
    let is_busy = !matches!(look.state(), Some("idle" | "activated"));
    let running = look.running()?;
    match wanted {
        _ if is_busy => None,
        Some(version) if version != running => Some(if look.staged() == Some(version) {
            Order::Restart(version.to_owned())
        } else {
            Order::Install(version.to_owned())
        }),
        _ => (!look.has_checked()).then_some(Order::Check),
    }
}

/// Percent-encoded, whatever a version is made of (RFC 3986 §2.3).
fn in_query(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn look(state: &str, checked: bool, staged: Option<&str>) -> Look {
        let boot = json!({ "bootId": "b", "os": { "VERSION_ID": "1" }, "health": { "verdict": "healthy" } });
        let checked = if checked { json!("t") } else { Value::Null };
        let off = if state == "off" { json!("because") } else { Value::Null };
        let slots = json!({ "slots": [{ "runs": false, "state": "TRIAL", "version": staged }] });
        Look::of(boot, json!({ "off": off, "state": state, "checked": checked }), staged.map(|_| slots))
    }

    #[test]
    fn each_state_has_its_order() {
        let (install, restart) =
            (|| Some(Order::Install("2".to_owned())), || Some(Order::Restart("2".to_owned())));
        for (state, checked, staged, wanted, expected) in [
            ("idle", false, None, None, Some(Order::Check)),
            ("idle", true, None, None, None),
            ("idle", true, None, Some("1"), None),
            ("idle", true, None, Some("2"), install()),
            ("idle", false, None, Some("2"), install()),
            ("checking", true, None, Some("2"), None),
            ("installing", true, None, Some("2"), None),
            ("activated", true, Some("2"), Some("2"), restart()),
            // The updater was started anew since.
            ("idle", true, Some("2"), Some("2"), restart()),
            ("activated", true, Some("3"), Some("2"), install()),
            ("activated", true, Some("2"), None, None),
            ("off", true, None, Some("2"), None),
        ] {
            let due = due(&look(state, checked, staged), wanted);
            assert_eq!(due, expected, "{state} {checked} {staged:?} {wanted:?}");
        }
    }

    #[test]
    fn the_same_is_said_again_only_after_a_while() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let idle = look("idle", true, None);
        assert!(memory.next(&idle, Some("2"), now).is_some());
        assert_eq!(memory.next(&idle, Some("2"), now + AGAIN / 2), None);
        assert!(memory.next(&look("activated", true, Some("2")), Some("2"), now + AGAIN / 2).is_some());
        assert!(memory.next(&idle, Some("2"), now + 2 * AGAIN).is_some());
    }

    #[test]
    fn versions_are_encoded() {
        assert_eq!(
            Order::Install("1.0+a b&c".to_owned()).path(),
            "/v1/update/install?version=1.0%2Ba%20b%26c"
        );
    }
}
