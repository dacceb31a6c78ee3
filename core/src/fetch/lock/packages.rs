//! A suite's binary and source packages.

use std::collections::HashMap;

use super::version;
use crate::fetch::control::{Stanza, stanzas};

/// A relation to a package: name, and a bound on its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    pub name: String,
    /// Operator and version.
    pub bound: Option<(String, String)>,
}

impl Relation {
    /// Whether a package of this version satisfies it.
    pub fn accepts(&self, version: &str) -> bool {
        self.bound.as_ref().is_none_or(|(relation, bound)| version::satisfies(version, relation, bound))
    }
}

impl std::fmt::Display for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.bound {
            None => write!(f, "{}", self.name),
            Some((relation, bound)) => write!(f, "{} ({relation} {bound})", self.name),
        }
    }
}

/// One binary package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub path: String,
    pub sha256: String,
    pub size: u64,
    /// All must hold; of each, one alternative. `Pre-Depends` come first.
    pub depends: Vec<Vec<Relation>>,
    pub conflicts: Vec<Relation>,
    /// Virtual packages, with the version provided if there is one.
    pub provides: Vec<(String, Option<String>)>,
    /// `required` is 0, `extra` or unknown 5: prefers providers.
    pub priority: u8,
}

/// All binary packages of an index.
#[derive(Debug, Default)]
pub struct Packages {
    packages: Vec<Package>,
    by_name: HashMap<String, usize>,
    providers: HashMap<String, Vec<usize>>,
}

impl Packages {
    /// Reads an index; of several versions of a package, the newest counts.
    ///
    /// # Errors
    /// What is wrong, with the package's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut found = Self::default();
        for stanza in stanzas(text) {
            let package = parse_package(&stanza)?;
            match found.by_name.get(&package.name) {
                Some(index)
                    if version::compare(&package.version, &found.packages[*index].version).is_le() => {}
                Some(index) => found.packages[*index] = package,
                None => {
                    found.by_name.insert(package.name.clone(), found.packages.len());
                    found.packages.push(package);
                }
            }
        }
        for (index, package) in found.packages.iter().enumerate() {
            for (name, _) in &package.provides {
                found.providers.entry(name.clone()).or_default().push(index);
            }
        }
        Ok(found)
    }

    pub fn get(&self, name: &str) -> Option<&Package> {
        self.by_name.get(name).map(|index| &self.packages[*index])
    }

    /// Packages that satisfy a relation: the one of that name first, then
    /// those that provide it, by priority and name.
    pub fn satisfying(&self, relation: &Relation) -> Vec<&Package> {
        let mut found: Vec<&Package> = self
            .get(&relation.name)
            .filter(|package| relation.accepts(&package.version))
            .into_iter()
            .collect();
        let mut providers: Vec<&Package> = self
            .providers
            .get(&relation.name)
            .into_iter()
            .flatten()
            .map(|index| &self.packages[*index])
            .filter(|package| provides(package, relation) && package.name != relation.name)
            .collect();
        providers.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
        found.extend(providers);
        found
    }
}

/// Whether a package satisfies a relation, by its name or what it provides.
pub fn satisfies(package: &Package, relation: &Relation) -> bool {
    (package.name == relation.name && relation.accepts(&package.version)) || provides(package, relation)
}

/// An unversioned `Provides` satisfies no versioned relation (policy §7.5).
fn provides(package: &Package, relation: &Relation) -> bool {
    package.provides.iter().any(|(name, version)| {
        *name == relation.name
            && match version {
                Some(version) => relation.accepts(version),
                None => relation.bound.is_none(),
            }
    })
}

fn parse_package(stanza: &Stanza<'_>) -> Result<Package, String> {
    let name = stanza.get("Package").ok_or("a paragraph names no package")?.to_owned();
    let field = |field: &str| {
        stanza.get(field).map(str::to_owned).ok_or_else(|| format!("package {name} has no field {field}"))
    };
    let list = |field: &str| stanza.get(field).map(parse_relations).unwrap_or_default();
    let flat = |field: &str| list(field).into_iter().flatten();
    let size = field("Size")?.parse().map_err(|_| format!("the size of package {name} is no number"))?;
    Ok(Package {
        version: field("Version")?,
        path: field("Filename")?,
        sha256: field("SHA256")?,
        size,
        depends: list("Pre-Depends").into_iter().chain(list("Depends")).collect(),
        conflicts: flat("Conflicts").chain(flat("Breaks")).collect(),
        provides: flat("Provides").map(|r| (r.name, r.bound.map(|(_, version)| version))).collect(),
        priority: match stanza.get("Priority").unwrap_or_default() {
            "required" => 0,
            "important" => 1,
            "standard" => 2,
            "optional" => 3,
            _ => 4,
        },
        name,
    })
}

/// `a (>= 1) | b:any, c [amd64]`.
pub fn parse_relations(text: &str) -> Vec<Vec<Relation>> {
    text.split(',')
        .map(|group| group.split('|').filter_map(parse_relation).collect::<Vec<_>>())
        .filter(|group| !group.is_empty())
        .collect()
}

fn parse_relation(text: &str) -> Option<Relation> {
    let text = text.trim();
    let (name, rest) = text.split_at(text.find([' ', '(', '[']).unwrap_or(text.len()));
    let name = name.split(':').next().unwrap_or(name);
    if name.is_empty() {
        return None;
    }
    let bound = rest.split_once('(').and_then(|(_, rest)| rest.split_once(')')).and_then(|(bound, _)| {
        let bound = bound.trim();
        let end = bound.find(|c: char| !"<>=".contains(c))?;
        Some((bound[..end].to_owned(), bound[end..].trim().to_owned()))
    });
    Some(Relation { name: name.to_owned(), bound })
}

/// A file of a source package: name, SHA-256, size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    pub path: String,
    pub sha256: String,
    pub size: u64,
}

/// The newest version of a source package and its files.
///
/// # Errors
/// It is not in the index, or its entry is malformed.
pub fn source_package(index: &str, package: &str) -> Result<(String, Vec<SourceFile>), String> {
    let newest = stanzas(index)
        .filter(|stanza| {
            stanza.get("Package") == Some(package) && stanza.get("Extra-Source-Only") != Some("yes")
        })
        .max_by(|a, b| {
            version::compare(a.get("Version").unwrap_or_default(), b.get("Version").unwrap_or_default())
        })
        .ok_or_else(|| format!("there is no source package {package}"))?;
    let field = |field: &str| {
        newest.get(field).ok_or_else(|| format!("source package {package} has no field {field}"))
    };
    let directory = field("Directory")?;
    let mut files = Vec::new();
    for line in field("Checksums-Sha256")?.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let (Some(sha256), Some(size), Some(name)) = (words.next(), words.next(), words.next()) else {
            return Err(format!("source package {package} has a malformed file list"));
        };
        let size = size.parse().map_err(|_| format!("the size of {name} is no number"))?;
        files.push(SourceFile { path: format!("{directory}/{name}"), sha256: sha256.to_owned(), size });
    }
    Ok((field("Version")?.to_owned(), files))
}
