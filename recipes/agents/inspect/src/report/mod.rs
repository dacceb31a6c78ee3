//! What should hold of a node of this kind, whether it does, and how one sees
//! it. Each check looks at the running system and at nothing that only claims.
//!
//! Numbers of public benchmarks stand beside the checks that look at the same:
//! "CIS Bottlerocket" is the CIS Bottlerocket Benchmark 1.0.0, "CIS Kubernetes"
//! the CIS Kubernetes Benchmark 1.8, section 4. They are pointers for whoever
//! has to show something, and no claim to have passed either.

mod kernel;
mod kubelet;
mod network;
mod node;
mod root;
mod sockets;

use serde_json::{Value, json};

use crate::services::Properties;
use crate::system::System;
use crate::{boot, services, slots};

/// One thing that should hold.
pub struct Check {
    /// Stays the same from version to version.
    pub id: &'static str,
    pub title: &'static str,
    pub references: &'static [&'static str],
    pub look: fn(&Node) -> Finding,
}

/// What a look found, and by what one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    Holds(String),
    Fails(String),
    /// It cannot be seen.
    Unknown(String),
    /// It does not concern this node.
    Foreign,
}

/// What is looked at.
pub struct Node {
    pub system: System,
    /// The service manager's word on itself.
    pub manager: Result<Properties, String>,
    pub failed_units: Result<Vec<String>, String>,
    /// The kernel's word on how the root is mapped.
    pub verity_table: Result<String, String>,
    /// State of the running slot.
    pub slot: Result<&'static str, String>,
    pub files: root::Files,
    pub uptime_ms: u64,
}

const GROUPS: [&[Check]; 5] = [root::CHECKS, kernel::CHECKS, node::CHECKS, network::CHECKS, kubelet::CHECKS];

pub fn record() -> Value {
    let system = System::running();
    let files = root::Files::of(&system);
    let node = Node {
        system,
        manager: boot::manager(),
        failed_units: services::failed(),
        verity_table: osbuild_sys::dm::table("osroot").map_err(|error| error.to_string()),
        slot: slots::running_state(),
        files,
        uptime_ms: osbuild_sys::clock::uptime_ms(),
    };
    told(&node)
}

fn told(node: &Node) -> Value {
    let checks: Vec<Value> =
        GROUPS.iter().copied().flatten().filter_map(|check| told_one(check, node)).collect();
    let count = |status: &str| checks.iter().filter(|check| check["status"] == status).count();
    json!({
        "schema": 1,
        "holds": count("holds"),
        "fails": count("fails"),
        "unknown": count("unknown"),
        "checks": checks,
    })
}

fn told_one(check: &Check, node: &Node) -> Option<Value> {
    let (status, why) = match (check.look)(node) {
        Finding::Holds(why) => ("holds", why),
        Finding::Fails(why) => ("fails", why),
        Finding::Unknown(why) => ("unknown", why),
        Finding::Foreign => return None,
    };
    Some(json!({
        "id": check.id, "title": check.title, "status": status, "why": why, "references": check.references,
    }))
}

impl Finding {
    /// Holds if there is nothing against it.
    pub fn without(against: &[String], evidence: impl Into<String>) -> Self {
        if against.is_empty() { Self::Holds(evidence.into()) } else { Self::Fails(listed(against)) }
    }
}

/// A list that stays readable.
pub fn listed(items: &[String]) -> String {
    const MOST: usize = 20;
    let shown = items[..items.len().min(MOST)].join(", ");
    match items.len().checked_sub(MOST) {
        Some(left @ 1..) => format!("{shown} and {left} more"),
        _ => shown,
    }
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::system::tests::made_of;

    /// A node of these files, of which nothing else is known.
    pub fn node(files: &[(&str, &str)]) -> (tempfile::TempDir, Node) {
        let (place, system) = made_of(files);
        let unknown = || "not asked".to_owned();
        let node = Node {
            files: root::Files::of(&system),
            system,
            manager: Err(unknown()),
            failed_units: Err(unknown()),
            verity_table: Err(unknown()),
            slot: Err(unknown()),
            uptime_ms: 100_000,
        };
        (place, node)
    }

    /// What the check of that name finds.
    pub fn look(id: &str, node: &Node) -> Finding {
        let check = GROUPS.iter().copied().flatten().find(|check| check.id == id).unwrap();
        (check.look)(node)
    }

    pub fn fails_with(finding: Finding, part: &str) {
        assert!(matches!(&finding, Finding::Fails(why) if why.contains(part)), "{part}: {finding:?}");
    }

    pub fn holds(finding: Finding) {
        assert!(matches!(finding, Finding::Holds(_)), "{finding:?}");
    }

    #[test]
    fn checks_have_names_of_their_own() {
        let ids: BTreeSet<&str> = GROUPS.iter().copied().flatten().map(|check| check.id).collect();
        assert_eq!(ids.len(), GROUPS.iter().map(|group| group.len()).sum::<usize>());
    }

    #[test]
    fn of_a_node_that_says_nothing_little_holds() {
        let (_place, node) = node(&[]);
        let record = told(&node);
        let holding: Vec<&str> = record["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| check["status"] == "holds")
            .map(|check| check["id"].as_str().unwrap())
            .collect();
        // What is seen by a thing's not being there.
        assert_eq!(holding, ["kernel.no-memory-devices"]);
    }

    #[test]
    fn long_lists_are_cut() {
        let many: Vec<String> = (0..25).map(|number| number.to_string()).collect();
        assert!(listed(&many).ends_with("18, 19 and 5 more"));
        assert_eq!(listed(&many[..2]), "0, 1");
    }
}
