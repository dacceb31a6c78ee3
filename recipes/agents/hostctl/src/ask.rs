//! Questions to the API, and what is said when they are refused.

use std::time::Duration;

use osbuild_api::{NoAnswer, ask_node, hand_to_node};
use serde_json::Value;

/// Why there is no result: an exit code, and lines that say so.
#[derive(Debug)]
pub(crate) struct Failure {
    /// 1: refused; 2: used wrongly; 3: the node does not answer.
    pub(crate) status: u8,
    pub(crate) lines: Vec<String>,
}

impl Failure {
    pub(crate) fn usage(line: impl Into<String>) -> Self {
        Self { status: 2, lines: vec![line.into()] }
    }

    pub(crate) fn refused(message: &str) -> Self {
        Self { status: 1, lines: message.lines().map(str::to_owned).collect() }
    }
}

/// For settings to be applied.
const LIMIT: Duration = Duration::from_secs(300);

pub(crate) fn ask(method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
    understood(ask_node(method, path, body, LIMIT))
}

/// Hands bytes over.
pub(crate) fn put(path: &str, bytes: Vec<u8>) -> Result<Value, Failure> {
    understood(hand_to_node("PUT", path, ("application/octet-stream", bytes), LIMIT))
}

fn understood(answer: Result<(u16, Value), NoAnswer>) -> Result<Value, Failure> {
    let (status, record) = answer
        .map_err(|error| Failure { status: 3, lines: vec![format!("the node does not answer: {error}")] })?;
    // An order that takes long is only accepted.
    if status == 200 || status == 202 {
        return Ok(record);
    }
    let message = record["error"]["message"].as_str().unwrap_or("the node refused, and does not say why");
    Err(Failure::refused(message))
}

/// A text as part of an address.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// What follows the question mark.
pub(crate) fn query(pairs: &[(&str, Option<String>)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_deref()?))))
        .collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(encoded("a b/ä?"), "a%20b%2F%C3%A4%3F");
        assert_eq!(query(&[("a", None)]), "");
        assert_eq!(
            query(&[("a", Some("b c".to_owned())), ("d", None), ("e", Some("1".to_owned()))]),
            "?a=b%20c&e=1"
        );
    }
}
