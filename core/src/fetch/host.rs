//! What the host's package tools are configured with. Whatever is found is a
//! place to ask, never a reason to trust: packages are believed by hash,
//! indexes by signature.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{FetchConfig, Fetcher, openpgp::Keyring};

/// How long a verdict on a package source holds.
const VERDICT_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What an archive's signed release file says it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Verdict {
    /// The `Label` field; empty if the signature did not verify.
    label: String,
    checked: SystemTime,
}

/// The host's own package sources that the distribution's keyring vouches
/// for: label `Debian` for `debian`, `Debian-Security` for `debian-security`.
pub(super) fn debian_mirrors(fetcher: &Fetcher, config: &FetchConfig, name: &str) -> Vec<String> {
    let label = if name == "debian" { "Debian" } else { "Debian-Security" };
    let Some(keyring) = keyring(config) else { return Vec::new() };
    let cache = config.cache.join("package-sources.json");
    let mut verdicts: BTreeMap<String, Verdict> =
        std::fs::read(&cache).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let mut mirrors = Vec::new();
    let mut asked = false;
    for (base, suite) in package_sources(Path::new("/etc/apt")) {
        let fresh =
            verdicts.get(&base).is_some_and(|v| v.checked.elapsed().is_ok_and(|age| age < VERDICT_AGE));
        if !fresh {
            let address = format!("{}/dists/{suite}/InRelease", base.trim_end_matches('/'));
            let Ok(bytes) = fetcher.text(&address) else { continue };
            let signed = keyring.verify_clearsigned(&bytes).unwrap_or_default();
            let label = signed.lines().find_map(|line| line.strip_prefix("Label: ")).unwrap_or_default();
            verdicts.insert(base.clone(), Verdict { label: label.to_owned(), checked: SystemTime::now() });
            asked = true;
        }
        if verdicts.get(&base).is_some_and(|v| v.label == label) && !mirrors.contains(&base) {
            mirrors.push(base);
        }
    }
    if asked && let Ok(text) = serde_json::to_vec(&verdicts) {
        let beside = cache.with_extension(format!("{}", std::process::id()));
        let _ = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &cache));
    }
    mirrors
}

/// The keyring that vouches for the distribution's archives.
pub(super) fn keyring(config: &FetchConfig) -> Option<Keyring> {
    config.keyrings.iter().find_map(|path| Keyring::parse(&std::fs::read(path).ok()?).ok())
}

/// Address and suite of every binary package source that is not kept to
/// another vendor's key.
fn package_sources(directory: &Path) -> Vec<(String, String)> {
    let mut files = vec![directory.join("sources.list")];
    let parts = std::fs::read_dir(directory.join("sources.list.d"));
    let mut more: Vec<PathBuf> = parts.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    more.sort();
    files.append(&mut more);
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|e| e.to_str()) {
            Some("sources") => sources.extend(parse_deb822(&text)),
            Some("list") => sources.extend(parse_one_line(&text)),
            _ => {}
        }
    }
    sources
}

fn parse_deb822(text: &str) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for stanza in super::control::stanzas(text) {
        let words = |name: &str| stanza.get(name).map(str::split_whitespace);
        let field = |name: &str| stanza.get(name).unwrap_or_default();
        let foreign = !field("Signed-By").is_empty() && !field("Signed-By").contains("debian-archive");
        if field("Enabled").eq_ignore_ascii_case("no") || foreign {
            continue;
        }
        if !words("Types").into_iter().flatten().any(|kind| kind == "deb") {
            continue;
        }
        for base in words("URIs").into_iter().flatten() {
            if let Some(suite) = words("Suites").into_iter().flatten().next() {
                sources.push((base.to_owned(), suite.to_owned()));
            }
        }
    }
    sources
}

fn parse_one_line(text: &str) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("deb ") else { continue };
        let rest = rest.trim_start();
        let (options, rest) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            Some((options, rest)) => (options, rest),
            None => ("", rest),
        };
        if options.contains("signed-by=") && !options.contains("debian-archive") {
            continue;
        }
        let mut words = rest.split_whitespace();
        if let (Some(base), Some(suite)) = (words.next(), words.next()) {
            sources.push((base.to_owned(), suite.to_owned()));
        }
    }
    sources
}

/// The download templates that cargo knows: its source replacement, else what
/// it recorded of the registries it used.
pub(super) fn crate_mirrors(fetcher: &Fetcher, config: &FetchConfig) -> Vec<String> {
    let Some(cargo_home) = &config.cargo_home else { return Vec::new() };
    let mut templates = Vec::new();
    for name in ["config.toml", "config"] {
        let Ok(text) = std::fs::read_to_string(cargo_home.join(name)) else { continue };
        let Ok(table) = text.parse::<toml::Table>() else { continue };
        let Some(index) = replacement_index(&table) else { continue };
        let address = format!("{}/config.json", index.trim_end_matches('/'));
        if let Ok(text) = fetcher.text(&address) {
            templates.extend(download_template(&text));
        }
    }
    let indexes = std::fs::read_dir(cargo_home.join("registry/index"));
    let mut files: Vec<PathBuf> =
        indexes.into_iter().flatten().flatten().map(|entry| entry.path().join("config.json")).collect();
    files.sort();
    for file in files {
        let found = std::fs::read_to_string(file).ok().and_then(|text| download_template(&text));
        templates.extend(found.filter(|template| !templates.contains(template)));
    }
    templates
}

fn replacement_index(table: &toml::Table) -> Option<&str> {
    let sources = table.get("source")?.as_table()?;
    let name = sources.get("crates-io")?.get("replace-with")?.as_str()?;
    sources.get(name)?.get("registry")?.as_str()?.strip_prefix("sparse+")
}

fn download_template(text: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(json.get("dl")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_sources_of_both_spellings_are_read() {
        let expected = vec![("http://h.invalid/debian".to_owned(), "trixie".to_owned())];
        let deb822 = "Types: deb\n# a remark\nURIs: http://h.invalid/debian\nSuites: trixie trixie-updates\n\
                      Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
                      Types: deb\nURIs: http://other.invalid/\nSuites: x\nSigned-By: /usr/share/keyrings/other.gpg\n";
        assert_eq!(parse_deb822(deb822), expected);
        let lines = "# deb http://off.invalid/ x main\ndeb [arch=amd64] http://h.invalid/debian trixie main\n\
                     deb [signed-by=/other.gpg] http://other.invalid/ x main\n";
        assert_eq!(parse_one_line(lines), expected);
    }

    #[test]
    fn cargos_source_replacement_is_followed() {
        let table = "[source.crates-io]\nreplace-with = \"m\"\n[source.m]\nregistry = \"sparse+https://h.invalid/i/\"\n"
            .parse()
            .unwrap();
        assert_eq!(replacement_index(&table), Some("https://h.invalid/i/"));
        let template = download_template("{\"dl\": \"https://h.invalid/crates\", \"api\": null}");
        assert_eq!(template.as_deref(), Some("https://h.invalid/crates"));
    }
}
