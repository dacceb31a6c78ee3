//! Which recipe a step belongs to.

use std::collections::HashMap;

use osbuild_store::StorePath;

use super::steps::Candidate;
use crate::lang::builtins::versions::split_name;

/// What a project calls its packages.
#[derive(Debug, Default)]
pub struct Packages {
    by_derivation: HashMap<StorePath, String>,
    /// By the name without its version: a variant's own edition of a package
    /// is another derivation.
    by_name: HashMap<String, Option<String>>,
}

impl Packages {
    pub fn add(&mut self, derivation: &StorePath, attribute: &str) {
        let name = without_version(derivation.derivation_name()).to_owned();
        let named = self.by_name.entry(name).or_insert_with(|| Some(attribute.to_owned()));
        // Two of one name: it says nothing.
        if named.as_deref().is_some_and(|known| known != attribute) {
            *named = None;
        }
        self.by_derivation.insert(derivation.clone(), attribute.to_owned());
    }

    fn of(&self, derivation: &StorePath) -> Option<&str> {
        let by_name = || self.by_name.get(without_version(derivation.derivation_name()))?.as_deref();
        self.by_derivation.get(derivation).map(String::as_str).or_else(by_name)
    }
}

/// For each step, inputs first: the package that it is, or else the one that
/// alone uses it, or else one of `targets`. `None`: several packages use it.
pub fn owners(
    steps: &[Candidate],
    packages: &Packages,
    targets: &HashMap<StorePath, String>,
) -> Vec<Option<String>> {
    // Of those seen so far, which are all that use a step: `None` once they
    // disagree.
    let mut users: HashMap<&StorePath, Option<String>> = HashMap::new();
    let mut owners = vec![None; steps.len()];
    for (index, step) in steps.iter().enumerate().rev() {
        let own = packages.of(&step.path).or_else(|| targets.get(&step.path).map(String::as_str));
        let owner = match own {
            Some(own) => Some(own.to_owned()),
            None => users.get(&step.path).cloned().flatten(),
        };
        for input in step.inputs() {
            let of_input = users.entry(input).or_insert_with(|| owner.clone());
            if *of_input != owner {
                *of_input = None;
            }
        }
        owners[index] = owner;
    }
    owners
}

fn without_version(name: &str) -> &str {
    let (name_alone, _) = split_name(name.as_bytes());
    &name[..name_alone.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use super::*;
    use crate::derivation::Derivation;

    fn step(name: &str, inputs: &[&str]) -> Candidate {
        let derivation = Derivation {
            outputs: BTreeMap::new(),
            input_derivations: inputs.iter().map(|name| (path(name), BTreeSet::new())).collect(),
            input_sources: BTreeSet::new(),
            system: Vec::new(),
            builder: Vec::new(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
        };
        Candidate { path: path(name), derivation: Arc::new(derivation) }
    }

    fn path(name: &str) -> StorePath {
        StorePath::parse(&format!("{}-{name}.drv", "0".repeat(32))).unwrap()
    }

    #[test]
    fn a_step_is_the_only_packages_that_uses_it() {
        let mut packages = Packages::default();
        packages.add(&path("linux-6.12"), "pkgs.linux");
        packages.add(&path("early-1"), "pkgs.early");
        let steps = [
            step("sdk", &[]),
            step("source", &[]),
            step("kernel-config", &["source"]),
            step("linux-6.13", &["kernel-config", "sdk"]),
            step("early-1", &["sdk"]),
            step("root", &["linux-6.13", "early-1"]),
        ];
        let targets = HashMap::from([(path("root"), "aws-k8s".to_owned())]);
        let owners = owners(&steps, &packages, &targets);
        let owners: Vec<Option<&str>> = owners.iter().map(Option::as_deref).collect();
        assert_eq!(
            owners,
            [
                None,
                Some("pkgs.linux"),
                Some("pkgs.linux"),
                Some("pkgs.linux"),
                Some("pkgs.early"),
                Some("aws-k8s"),
            ]
        );
    }

    #[test]
    fn a_name_that_two_packages_have_says_nothing() {
        let mut packages = Packages::default();
        packages.add(&path("containerd-1.7"), "pkgs.containerd");
        packages.add(&path("containerd-2.1"), "pkgs.containerd-2");
        assert_eq!(packages.of(&path("containerd-2.1")), Some("pkgs.containerd-2"));
        assert_eq!(packages.of(&path("containerd-3")), None);
    }
}
