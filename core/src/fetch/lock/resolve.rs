//! What a list of packages needs: dependencies, closed over.
//!
//! Of alternatives, one that is already chosen, else the first that the suite
//! can satisfy. `Recommends` do not count and `Essential` packages are not
//! pulled in: a root is what was asked for. Simple on purpose, and one suite
//! at a time: nothing is ever backed out of.

use std::collections::{BTreeMap, VecDeque};

use super::packages::{Package, Packages, Relation, satisfies};

/// Resolves packages with everything that they depend on, if `closure`.
///
/// # Errors
/// All that is missing or in conflict, one line each.
pub fn resolve<'p>(
    packages: &'p Packages,
    wanted: &[String],
    closure: bool,
    exclude: &[String],
) -> Result<Vec<&'p Package>, Vec<String>> {
    let mut chosen: BTreeMap<&str, &Package> = BTreeMap::new();
    let mut queue = VecDeque::new();
    let mut problems = Vec::new();
    for name in wanted {
        match packages.get(name) {
            Some(package) => {
                if chosen.insert(&package.name, package).is_none() {
                    queue.push_back(package);
                }
            }
            None => problems.push(format!("the suite has no package {name}")),
        }
    }
    while closure && let Some(package) = queue.pop_front() {
        for group in &package.depends {
            if group.iter().any(|relation| exclude.contains(&relation.name)) {
                continue;
            }
            if chosen.values().any(|chosen| group.iter().any(|relation| satisfies(chosen, relation))) {
                continue;
            }
            let found = group.iter().find_map(|relation| packages.satisfying(relation).into_iter().next());
            match found {
                Some(found) => {
                    chosen.insert(&found.name, found);
                    queue.push_back(found);
                }
                None => problems.push(format!(
                    "{} needs {}, which nothing provides",
                    package.name,
                    alternatives(group)
                )),
            }
        }
    }
    if closure {
        problems.extend(conflicts(&chosen));
    }
    if problems.is_empty() { Ok(chosen.into_values().collect()) } else { Err(problems) }
}

fn alternatives(group: &[Relation]) -> String {
    group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// A package never conflicts with itself, whatever it provides (policy §7.4).
fn conflicts(chosen: &BTreeMap<&str, &Package>) -> Vec<String> {
    let mut found = Vec::new();
    for package in chosen.values() {
        for relation in &package.conflicts {
            for other in chosen.values().filter(|other| other.name != package.name) {
                if satisfies(other, relation) {
                    found.push(format!(
                        "{} cannot stand beside {} {}",
                        package.name, other.name, other.version
                    ));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = include_str!("../testdata/packages.txt");

    fn check(wanted: &[&str], expected: &[&str]) {
        let packages = Packages::parse(INDEX).unwrap();
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let found: Vec<String> =
            resolve(&packages, &wanted, true, &[]).unwrap().iter().map(|p| p.name.clone()).collect();
        assert_eq!(found, expected, "{wanted:?}");
    }

    #[test]
    fn follows_dependencies_and_pre_dependencies() {
        check(&["tool"], &["libc", "libtool", "tool"]);
    }

    #[test]
    fn takes_the_first_alternative_that_satisfies() {
        // first-choice is too old in the suite; second-choice will do.
        check(&["chooser"], &["chooser", "second-choice"]);
    }

    #[test]
    fn an_alternative_that_is_already_there_will_do() {
        check(&["awk-user", "gawk"], &["awk-user", "gawk"]);
        check(&["awk-user"], &["awk-user", "mawk"]);
    }

    #[test]
    fn versioned_provides_satisfy_bounds_and_unversioned_do_not() {
        check(&["needs-api-2"], &["modern", "needs-api-2"]);
    }

    #[test]
    fn the_newest_of_two_versions_counts() {
        let packages = Packages::parse(INDEX).unwrap();
        assert_eq!(packages.get("libtool").unwrap().version, "1.10-1");
    }

    #[test]
    fn says_all_that_is_missing_and_in_conflict() {
        let packages = Packages::parse(INDEX).unwrap();
        let wanted = ["nowhere", "broken", "mawk", "rival"].map(str::to_owned);
        let problems = resolve(&packages, &wanted, true, &[]).unwrap_err();
        assert_eq!(
            problems,
            [
                "the suite has no package nowhere",
                "broken needs absent (>= 3) or gone, which nothing provides",
                "rival cannot stand beside mawk 1.3-1",
            ]
        );
    }
}
