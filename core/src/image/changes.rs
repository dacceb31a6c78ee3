//! What is new in an image against another: for those who decide whether to
//! take it, and for the text that goes out with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::path::Path;

use osbuild_format::release::Release;
use serde::Serialize;
use serde_json::Value;

use super::facts::{Facts, FactsError, FileFacts, FileKind};
use crate::quantities::size;

/// From one image to another. Each list is sorted by name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    pub from: Identity,
    pub to: Identity,
    pub packages: Vec<Change<String>>,
    /// `None`: the same release of the kernel.
    pub kernel: Option<(String, String)>,
    /// Empty where one of the kernels does not say how it was configured, too.
    pub kernel_options: Vec<Change<String>>,
    /// Words of the kernel's command line that are no hash of this root.
    pub command_line: Vec<Change<String>>,
    pub settings: Vec<Change<Value>>,
    pub files: Vec<Change<FileFacts>>,
    pub sizes: Vec<SizeChange>,
}

/// Which image it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    pub variant: String,
    pub version: String,
    pub root_hash: String,
}

/// One thing that was added, taken away or changed.
#[derive(Debug, PartialEq, Serialize)]
pub struct Change<T> {
    pub name: String,
    pub from: Option<T>,
    pub to: Option<T>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SizeChange {
    pub part: &'static str,
    pub from_bytes: u64,
    pub to_bytes: u64,
}

impl Changes {
    /// Between the outputs of two variants.
    ///
    /// # Errors
    /// One of them lacks a part, or it is damaged.
    pub fn read(from: &Path, to: &Path) -> Result<Self, FactsError> {
        let (from, to) = rayon::join(|| Facts::read(from), || Facts::read(to));
        Ok(Self::between(&from?, &to?))
    }

    pub fn between(from: &Facts, to: &Facts) -> Self {
        let options = match (&from.kernel_options, &to.kernel_options) {
            (Some(from), Some(to)) => changes(from, to),
            _ => Vec::new(),
        };
        Self {
            from: identity(&from.release),
            to: identity(&to.release),
            packages: changes(&from.packages, &to.packages),
            kernel: (from.kernel != to.kernel).then(|| (from.kernel.clone(), to.kernel.clone())),
            kernel_options: options,
            command_line: changes(&words(&from.release), &words(&to.release)),
            settings: changes(&from.settings, &to.settings),
            files: changes(&from.files, &to.files),
            sizes: sizes(&from.release, &to.release),
        }
    }

    /// Whether nothing that is listed differs.
    pub fn is_empty(&self) -> bool {
        let Self { packages, kernel, kernel_options, command_line, settings, files, .. } = self;
        kernel.is_none()
            && packages.is_empty()
            && kernel_options.is_empty()
            && command_line.is_empty()
            && settings.is_empty()
            && files.is_empty()
    }
}

fn identity(release: &Release) -> Identity {
    Identity {
        variant: release.variant.clone(),
        version: release.version.clone(),
        root_hash: release.root.root_hash.clone(),
    }
}

fn changes<T: Clone + PartialEq>(from: &BTreeMap<String, T>, to: &BTreeMap<String, T>) -> Vec<Change<T>> {
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let change = |name: &String| {
        let (before, after) = (from.get(name), to.get(name));
        let change = || Change { name: name.clone(), from: before.cloned(), to: after.cloned() };
        (before != after).then(change)
    };
    names.into_iter().filter_map(change).collect()
}

/// Words of the command line by what stands before their first `=`, or, of one
/// that is there more than once, by the whole word. Hashes and the partitions
/// called after them differ between any two roots and say nothing.
fn words(release: &Release) -> BTreeMap<String, String> {
    let line = release.uki.command_line.replace(&release.root.root_hash, "ROOT-HASH");
    let line = line.replace(&release.root.salt, "SALT");
    let all: Vec<&str> = line.split_whitespace().filter(|word| !word.contains("PARTUUID=")).collect();
    let key = |word: &str| word.split_once('=').map_or(word, |(key, _)| key).to_owned();
    let mut words = BTreeMap::new();
    for word in &all {
        let is_alone = all.iter().filter(|other| key(other) == key(word)).count() == 1;
        words.insert(if is_alone { key(word) } else { (*word).to_owned() }, (*word).to_owned());
    }
    words
}

fn sizes(from: &Release, to: &Release) -> Vec<SizeChange> {
    let parts = |release: &Release| {
        [
            ("root", release.root.size),
            ("hash tree", release.hash.size),
            ("kernel image", release.uki.size),
            ("loader", release.loader.size),
        ]
    };
    let rows = parts(from).into_iter().zip(parts(to));
    rows.map(|((part, from_bytes), (_, to_bytes))| SizeChange { part, from_bytes, to_bytes }).collect()
}

/// How many files the text names.
const FILES_SHOWN: usize = 40;

/// Markdown, as it goes into a note on a release.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, .. } = self;
        if from.variant == to.variant {
            writeln!(f, "# {} {} → {}\n", to.variant, from.version, to.version)?;
        } else {
            writeln!(f, "# {} {} → {} {}\n", from.variant, from.version, to.variant, to.version)?;
        }
        if self.is_empty() {
            let same = from.root_hash == to.root_hash;
            return f.write_str(if same { "The same root, bit for bit.\n" } else { "No file differs.\n" });
        }
        f.write_str(&self.summary())?;
        section(f, "Packages", &self.packages, |version| version.clone())?;
        if let Some((before, after)) = &self.kernel {
            writeln!(f, "\n## Kernel\n\n- `{before}` → `{after}`")?;
        }
        section(f, "Kernel options", &self.kernel_options, |value| format!("`{value}`"))?;
        section(f, "Kernel command line", &self.command_line, |word| format!("`{word}`"))?;
        section(f, "Settings", &self.settings, setting)?;
        writeln!(f, "\n## Sizes\n")?;
        for SizeChange { part, from_bytes, to_bytes } in &self.sizes {
            let step = signed(*from_bytes, *to_bytes);
            writeln!(f, "- {part}: {} → {} ({step})", size(*from_bytes), size(*to_bytes))?;
        }
        let shown = &self.files[..self.files.len().min(FILES_SHOWN)];
        section(f, "Files", shown, file)?;
        if self.files.len() > shown.len() {
            writeln!(f, "- … and {} more", self.files.len() - shown.len())?;
        }
        Ok(())
    }
}

impl Changes {
    /// One sentence.
    fn summary(&self) -> String {
        let mut parts = Vec::new();
        let mut count = |[added, gone, changed]: [usize; 3], what: &str| {
            for (number, verb) in [(changed, "changed"), (added, "new"), (gone, "gone")] {
                if number != 0 {
                    parts.push(format!("{number} {what} {verb}"));
                }
            }
        };
        count(counts(&self.packages), "packages");
        count(counts(&self.kernel_options), "kernel options");
        count(counts(&self.settings), "settings");
        count(counts(&self.files), "files");
        let mut text = parts.join(", ");
        let _ = writeln!(text, ".");
        text
    }
}

/// Added, taken away, changed.
fn counts<T>(changes: &[Change<T>]) -> [usize; 3] {
    let count = |wanted: (bool, bool)| {
        changes.iter().filter(|change| (change.from.is_some(), change.to.is_some()) == wanted).count()
    };
    [count((false, true)), count((true, false)), count((true, true))]
}

fn section<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    changes: &[Change<T>],
    say: impl Fn(&T) -> String,
) -> fmt::Result {
    if changes.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n## {title}\n")?;
    for Change { name, from, to } in changes {
        match (from, to) {
            (Some(from), Some(to)) => writeln!(f, "- {name}: {} → {}", say(from), say(to))?,
            (None, Some(to)) => writeln!(f, "- {name}: new, {}", say(to))?,
            (Some(from), None) => writeln!(f, "- {name}: gone, was {}", say(from))?,
            (None, None) => {}
        }
    }
    Ok(())
}

/// What a user who sets it sees: its default, or what kind it is.
fn setting(definition: &Value) -> String {
    match definition.get("default") {
        Some(default) if !default.is_null() => format!("default `{default}`"),
        _ => format!("{}, no default", definition["type"]["kind"].as_str().unwrap_or("any value")),
    }
}

fn file(file: &FileFacts) -> String {
    match &file.kind {
        FileKind::Directory => format!("directory, {}", file.mode),
        FileKind::Link { target } => format!("link to {target}"),
        FileKind::File { bytes, .. } => format!("{}, {}", size(*bytes), file.mode),
    }
}

fn signed(from: u64, to: u64) -> String {
    if to >= from { format!("+{}", size(to - from)) } else { format!("−{}", size(from - to)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_new_gone_or_changed_is_told_apart() {
        let found =
            changes(&map(&[("a", "1"), ("b", "1"), ("c", "1")]), &map(&[("b", "1"), ("c", "2"), ("d", "1")]));
        let names: Vec<&str> = found.iter().map(|change| change.name.as_str()).collect();
        assert_eq!((names, counts(&found)), (vec!["a", "c", "d"], [1, 1, 1]));
    }

    #[test]
    fn a_growth_and_a_shrinking_have_signs() {
        assert_eq!((signed(10, 30), signed(2048, 1024)), ("+20 B".to_owned(), "−1 KiB".to_owned()));
    }
}
