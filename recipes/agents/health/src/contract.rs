//! The health contract: `/usr/share/osbuild/health.toml`, schema 1.
//!
//! It lies in the verified root, which is what makes it signed. Settings may
//! add checks and lengthen the deadline, never remove.

use std::path::Path;

use serde::Deserialize;

const PATH: &str = "/usr/share/osbuild/health.toml";

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    pub schema: u32,
    /// Seconds from this program's start until every check must have passed.
    #[serde(default = "default_deadline")]
    pub deadline_s: u64,
    #[serde(default)]
    pub check: Vec<Check>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Check {
    pub name: String,
    #[serde(default)]
    pub when: When,
    /// A file without which the settings do not ask for what is checked.
    pub needs: Option<String>,
    /// A directory; while it holds anything, what is checked is held back.
    pub unless: Option<String>,
    #[serde(flatten)]
    pub kind: Kind,
}

/// When a check counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// On every start.
    #[default]
    Always,
    /// Only while the slot has never been committed.
    Trial,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kind {
    /// A unit of the service manager is active; with no unit, none has failed.
    Unit { unit: Option<String> },
    /// Something listens on a Unix socket.
    Socket { path: String },
    /// A loopback URL answers 200, with this text in the body if one is given.
    Http { url: String, contains: Option<String> },
    /// A container runs to its end; or, with `log`, one that somebody else
    /// started has answered this start's challenge as `answers`.
    Container {
        image: Option<String>,
        reference: Option<String>,
        #[serde(default)]
        arguments: Vec<String>,
        log: Option<String>,
        answers: Option<String>,
    },
    /// Something of this file system type is mounted there.
    Mount { path: String, r#type: String },
    /// A network lease was obtained.
    Lease,
    /// Every block of the verified root reads well.
    Scrub,
}

const fn default_deadline() -> u64 {
    300
}

impl Contract {
    pub fn read() -> Result<Self, String> {
        let text = std::fs::read_to_string(PATH).map_err(|error| format!("cannot read {PATH}: {error}"))?;
        Self::parse(&text)
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let contract: Self = toml::from_str(text).map_err(|error| format!("{PATH}: {error}"))?;
        if contract.schema != 1 {
            return Err(format!("{PATH}: schema {} is not known, only 1 is", contract.schema));
        }
        if let Some(check) =
            contract.check.iter().find(|check| check.when == When::Always && check.is_outside())
        {
            return Err(format!(
                "{PATH}: check '{}' depends on the network, so it must say when = \"trial\"",
                check.name
            ));
        }
        Ok(contract)
    }
}

impl Check {
    /// Whether the settings keep it from passing: a start is not judged by
    /// what it was told, nor by what it waits for because of that.
    pub fn is_held(&self) -> bool {
        let is_missing = |file: &String| !Path::new(file).exists();
        let holds_any = |folder: &String| std::fs::read_dir(folder).is_ok_and(|mut all| all.next().is_some());
        self.needs.as_ref().is_some_and(is_missing) || self.unless.as_ref().is_some_and(holds_any)
    }

    /// Depends on something outside the node, so that an outage there must not
    /// spend tries.
    fn is_outside(&self) -> bool {
        matches!(self.kind, Kind::Lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_settings_hold_back_is_held() {
        let place = tempfile::tempdir().unwrap();
        let (file, folder) = (place.path().join("file"), place.path().join("folder"));
        let text = format!(
            "schema = 1\n[[check]]\nname = \"a\"\nkind = \"lease\"\nwhen = \"trial\"\nneeds = {file:?}\nunless = {folder:?}\n"
        );
        let contract = Contract::parse(&text).unwrap();
        let is_held = || contract.check[0].is_held();
        assert!(is_held(), "the file is missing");
        std::fs::write(&file, "").unwrap();
        assert!(!is_held(), "the folder is missing");
        std::fs::create_dir(&folder).unwrap();
        assert!(!is_held(), "the folder is empty");
        std::fs::write(folder.join("x"), "").unwrap();
        assert!(is_held(), "the folder holds something");
    }

    #[test]
    fn reads_every_kind() {
        let contract = Contract::parse(
            r#"
            schema = 1
            deadline_s = 60
            [[check]]
            name = "no failed unit"
            kind = "unit"
            [[check]]
            name = "containerd"
            kind = "socket"
            path = "/run/containerd/containerd.sock"
            [[check]]
            name = "lease"
            kind = "lease"
            when = "trial"
            [[check]]
            name = "probe"
            kind = "container"
            image = "/usr/share/osbuild/images/probe.tar"
            reference = "osbuild.local/probe:1"
            "#,
        )
        .unwrap();
        assert_eq!((contract.deadline_s, contract.check.len()), (60, 4));
        assert_eq!(contract.check[2].when, When::Trial);
    }

    #[test]
    fn refuses_what_would_spend_tries_on_an_outage() {
        let text = "schema = 1\n[[check]]\nname = \"x\"\nkind = \"lease\"\n";
        assert!(Contract::parse(text).unwrap_err().contains("trial"));
        let misspelt = "schema = 1\n[[check]]\nname = \"x\"\nkind = \"socket\"\npaht = \"/x\"\n";
        assert!(Contract::parse(misspelt).is_err());
        assert!(Contract::parse("schema = 2").unwrap_err().contains("schema 2"));
        assert!(Contract::parse("schema = 1\n[[check]]\nname = \"x\"\nkind = \"magic\"\n").is_err());
    }
}
