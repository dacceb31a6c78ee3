//! What an image consists of and what that was made from: a graph, which both
//! documents write down.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What the documents are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) version: String,
    /// The root hash, which names the image.
    pub(super) digest: String,
}

/// A package of an image, as its recipe describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Component {
    pub(super) pname: String,
    pub(super) version: String,
    /// An SPDX expression.
    pub(super) license: String,
    /// The text of a license that SPDX's list does not have.
    #[serde(default)]
    pub(super) license_text: Option<String>,
    pub(super) description: String,
    #[serde(default)]
    pub(super) homepage: Option<String>,
    #[serde(default)]
    pub(super) cpe: Option<String>,
    /// Packages that it runs with, by name.
    #[serde(default)]
    pub(super) runs_with: Vec<String>,
    /// Files that it was made from.
    #[serde(default)]
    pub(super) sources: Vec<Source>,
    /// Crates that are linked into it.
    #[serde(default)]
    pub(super) crates: Vec<Crate>,
}

/// A file from a distribution.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Source {
    pub(super) file: String,
    /// The package that it belongs to there.
    pub(super) package: String,
    pub(super) version: String,
    pub(super) suite: String,
    /// `source`, or what a binary package is for.
    pub(super) arch: String,
    pub(super) sha256: String,
    pub(super) urls: Vec<String>,
}

/// A crate by the checksum of its archive.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) checksum: String,
}

/// All of it.
pub(super) struct Bill<'a> {
    pub(super) subject: Subject,
    pub(super) components: &'a [Component],
    /// SHA-256 over the paths and digests of each package's files in the image.
    pub(super) digests: BTreeMap<&'a str, String>,
}

impl Bill<'_> {
    /// Every crate once.
    pub(super) fn crates(&self) -> Vec<&Crate> {
        let mut crates: Vec<&Crate> =
            self.components.iter().flat_map(|component| &component.crates).collect();
        crates.sort_unstable();
        crates.dedup();
        crates
    }

    /// Every file once.
    pub(super) fn sources(&self) -> Vec<&Source> {
        let sources = self.components.iter().flat_map(|component| &component.sources);
        let by_hash: BTreeMap<(&str, &str), &Source> =
            sources.map(|source| ((source.file.as_str(), source.sha256.as_str()), source)).collect();
        by_hash.into_values().collect()
    }
}

impl Component {
    /// Of a package that was only unpacked, the distribution's; else one that
    /// nobody manages.
    pub(super) fn purl(&self) -> String {
        match self.sources.as_slice() {
            [source] if source.arch != "source" => source.purl(),
            _ => format!("pkg:generic/{}@{}", escaped(&self.pname), escaped(&self.version)),
        }
    }
}

impl Source {
    pub(super) fn purl(&self) -> String {
        format!(
            "pkg:deb/debian/{}@{}?arch={}&distro={}",
            escaped(&self.package),
            escaped(&self.version),
            self.arch,
            self.suite
        )
    }
}

impl Crate {
    pub(super) fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", escaped(&self.name), escaped(&self.version))
    }
}

/// As package URLs have what is not a letter, a digit or one of `.-_~:`.
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~' | b':');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_escape_what_the_specification_says() {
        let source = Source {
            file: "zlib1g_1.3.dfsg+really1.3.1-1+b1_amd64.deb".to_owned(),
            package: "zlib1g".to_owned(),
            version: "1:1.3.dfsg+really1.3.1-1+b1".to_owned(),
            suite: "trixie".to_owned(),
            arch: "amd64".to_owned(),
            sha256: String::new(),
            urls: Vec::new(),
        };
        let expected = "pkg:deb/debian/zlib1g@1:1.3.dfsg%2Breally1.3.1-1%2Bb1?arch=amd64&distro=trixie";
        assert_eq!(source.purl(), expected);
    }
}
