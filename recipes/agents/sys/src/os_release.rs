//! What this system says it is: os-release(5).

use std::collections::BTreeMap;

use crate::{Failed, Result};

const PATH: &str = "/usr/lib/os-release";

/// The fields of the running system, unquoted.
///
/// # Errors
/// The file cannot be read.
pub fn read() -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(PATH).map_err(Failed::at("read", PATH))?;
    Ok(parse(&text))
}

/// The fields of such a text, unquoted.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn values_are_unquoted() {
        let fields = super::parse("ID=osbuild\nPRETTY_NAME=\"a b\"\n# x\n");
        assert_eq!(fields["PRETTY_NAME"], "a b");
        assert_eq!(fields["ID"], "osbuild");
    }
}
