//! Where `mirror://NAME/path` is: what the user configured, else what the
//! host's own tools are configured with.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use super::{FetchError, Fetcher, host};

/// What the command read from the environment and the configuration file.
#[derive(Clone, Debug, Default)]
pub struct FetchConfig {
    /// Base addresses by mirror name, each tried in order.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Mirrors by hash: `<base>/<sha256 in hexadecimal>`, tried first. An
    /// address, or a directory.
    pub sources: Vec<String>,
    /// Keyring files that sign distribution archives; the first that exists
    /// is used.
    pub keyrings: Vec<PathBuf>,
    /// Cargo's home, if it has one.
    pub cargo_home: Option<PathBuf>,
    /// Where verdicts on the host's package sources and partial downloads are
    /// kept.
    pub cache: PathBuf,
    /// Set when the user interrupts: no request is waited for any longer.
    pub interrupted: Option<&'static AtomicBool>,
}

/// Resolves names, each once.
pub(super) struct Mirrors {
    pub(super) config: FetchConfig,
    known: Mutex<HashMap<String, Arc<Vec<String>>>>,
}

impl Mirrors {
    pub(super) fn new(config: FetchConfig) -> Self {
        Self { config, known: Mutex::default() }
    }

    /// The addresses to try for one that may say `mirror://`.
    pub(super) fn addresses(&self, fetcher: &Fetcher, url: &str) -> Result<Vec<String>, FetchError> {
        let Some(rest) = url.strip_prefix("mirror://") else {
            return Ok(vec![url.to_owned()]);
        };
        let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
        let bases = self.bases(fetcher, name)?;
        Ok(bases
            .iter()
            .map(|base| if name == CRATES { crate_address(base, path) } else { join(base, path) })
            .collect())
    }

    /// The base addresses of a mirror.
    pub(super) fn bases(&self, fetcher: &Fetcher, name: &str) -> Result<Arc<Vec<String>>, FetchError> {
        // Held while the host is asked, so that it is asked once.
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(bases) = known.get(name) {
            return Ok(bases.clone());
        }
        let bases = match self.config.mirrors.get(name) {
            Some(bases) => bases.clone(),
            None => match name {
                "debian" | "debian-security" => host::debian_mirrors(fetcher, &self.config, name),
                CRATES => host::crate_mirrors(fetcher, &self.config),
                _ => Vec::new(),
            },
        };
        if bases.is_empty() {
            return Err(FetchError::NoMirror { name: name.to_owned() });
        }
        let bases = Arc::new(bases);
        known.insert(name.to_owned(), bases.clone());
        Ok(bases)
    }
}

const CRATES: &str = "crates";

fn join(base: &str, path: &str) -> String {
    format!("{}/{path}", base.trim_end_matches('/'))
}

/// `<name>/<version>` in cargo's template for downloads.
///
/// Source: The Cargo Book, "Registry Index", `dl`.
fn crate_address(template: &str, path: &str) -> String {
    let (name, version) = path.split_once('/').unwrap_or((path, ""));
    if !template.contains('{') {
        return format!("{}/{name}/{version}/download", template.trim_end_matches('/'));
    }
    let prefix = |name: &str| match name.len() {
        1 => "1".to_owned(),
        2 => "2".to_owned(),
        3 => format!("3/{}", &name[..1]),
        _ => format!("{}/{}", name.get(..2).unwrap_or(""), name.get(2..4).unwrap_or("")),
    };
    template
        .replace("{crate}", name)
        .replace("{version}", version)
        .replace("{prefix}", &prefix(name))
        .replace("{lowerprefix}", &prefix(&name.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crate_addresses_follow_cargos_template() {
        for (template, expected) in [
            ("https://h.invalid/crates", "https://h.invalid/crates/serde/1.0.1/download"),
            ("https://h.invalid/{crate}-{version}.crate", "https://h.invalid/serde-1.0.1.crate"),
            ("https://h.invalid/{prefix}/{crate}/{version}", "https://h.invalid/se/rd/serde/1.0.1"),
        ] {
            assert_eq!(crate_address(template, "serde/1.0.1"), expected);
        }
    }
}
