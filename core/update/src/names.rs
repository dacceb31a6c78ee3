//! What targets are called. All names are flat, without a folder: clients
//! disagree about where the digest goes in the others.

/// Letters, digits and `-`: what a channel, a variant or an architecture is
/// made of, so that no name leads to another one or out of its folder.
pub fn is_plain(word: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    !word.is_empty() && word.len() <= 64 && !word.starts_with('-') && word.bytes().all(is_inner)
}

/// Semantic versions (2.0.0) of at most 64 bytes, which is what a node records.
pub fn is_version(version: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+');
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    version.len() <= 64
        && version.bytes().all(is_inner)
        && core.split('.').count() == 3
        && core.split('.').all(is_number)
}

/// What a node follows: a channel, of one variant on one architecture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub channel: String,
    pub variant: String,
    pub arch: String,
}

impl Line {
    /// `None` if a part [is not plain](is_plain).
    pub fn new(channel: &str, variant: &str, arch: &str) -> Option<Self> {
        [channel, variant, arch].into_iter().all(is_plain).then(|| Self {
            channel: channel.to_owned(),
            variant: variant.to_owned(),
            arch: arch.to_owned(),
        })
    }

    /// The target that lists its releases.
    pub fn catalogue(&self) -> String {
        format!("{self}{CATALOGUE}")
    }

    /// The target that says how they are given out.
    pub fn rollout(&self) -> String {
        format!("{self}{ROLLOUT}")
    }

    /// Of the name of a catalogue.
    pub fn of_catalogue(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(CATALOGUE)?.split('.');
        let line = Self::new(parts.next()?, parts.next()?, parts.next()?)?;
        parts.next().is_none().then_some(line)
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.channel, self.variant, self.arch)
    }
}

const CATALOGUE: &str = ".catalogue.json";
const ROLLOUT: &str = ".rollout.json";
/// What the role with the key that is online may speak of: when, never what.
pub const ROLLOUT_ROLE: &str = "rollout";
pub const ROLLOUT_PATHS: &str = "*.rollout.json";

/// A file of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `slot/manifest.json`: sizes and hashes of all the others.
    Manifest,
    /// The file system.
    Root,
    /// Its hash tree.
    Tree,
    /// The kernel image.
    Uki,
    Loader,
    /// Which package's blocks are where.
    Segments,
    SbomSpdx,
    SbomCycloneDx,
}

impl Part {
    pub const ALL: [Self; 8] = [
        Self::Manifest,
        Self::Root,
        Self::Tree,
        Self::Uki,
        Self::Loader,
        Self::Segments,
        Self::SbomSpdx,
        Self::SbomCycloneDx,
    ];

    /// What the build calls it, which ends the target's name.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Manifest => "manifest.json",
            Self::Root => "root.squashfs",
            Self::Tree => "root.verity",
            Self::Uki => "boot.efi",
            Self::Loader => "loader.efi",
            Self::Segments => "segments.json",
            Self::SbomSpdx => "sbom.spdx.json",
            Self::SbomCycloneDx => "sbom.cdx.json",
        }
    }
}

/// The role by which rebuilders say that they made a release again, by the
/// release's [name](release).
pub fn rebuilt_role(release: &str) -> String {
    format!("{REBUILT}{release}")
}

/// The name of the release that such a role is about.
pub fn of_rebuilt_role(role: &str) -> Option<&str> {
    role.strip_prefix(REBUILT)
}

const REBUILT: &str = "rebuilt.";

/// The targets of a release, but for what follows: `VARIANT.ARCH.VERSION`. A
/// `+` stands for a space in some servers' addresses, and `_` in no version.
pub fn release(variant: &str, arch: &str, version: &str) -> String {
    format!("{variant}.{arch}.{}", version.replace('+', "_"))
}

/// What ends the name of a delta from another version: of the `root`, its `tree`,
/// or `boot`.
pub fn delta(part: &str, from_version: &str) -> String {
    format!("{part}.from-{}.delta", from_version.replace('+', "_"))
}

/// What ends the name of the list of an image's chunks.
pub fn chunks(part: &str) -> String {
    format!("{part}.chunks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_flat_and_lead_back() {
        let line = Line::new("stable", "aws-k8s", "x86_64").unwrap();
        assert_eq!(line.catalogue(), "stable.aws-k8s.x86_64.catalogue.json");
        assert_eq!(Line::of_catalogue(&line.catalogue()), Some(line));
        for other in [
            "stable.aws-k8s.catalogue.json",
            "a.b.c.d.catalogue.json",
            "a.b.c.rollout.json",
            "a..c.catalogue.json",
        ] {
            assert_eq!(Line::of_catalogue(other), None, "{other}");
        }
        assert_eq!(release("a", "b", "1.0.0-rc.1+7"), "a.b.1.0.0-rc.1_7");
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_name() {
        for wrong in ["", "a/b", "..", "A", "a.b", "-a", "a b", &"a".repeat(65)] {
            assert!(!is_plain(wrong), "{wrong}");
        }
        for wrong in
            ["", "v1.0.0", "1.0", "1.0.0.1", "1.0./", "1.0.0 ", "1..0", &format!("1.0.{}", "1".repeat(61))]
        {
            assert!(!is_version(wrong), "{wrong}");
        }
        assert!(is_plain("x86_64") && is_version("1.2.3-rc.1+build"));
    }
}
