//! What a change of metadata means, for those who are to sign it.

use std::collections::BTreeSet;

use osbuild_tuf::key::KeyId;
use osbuild_tuf::metadata::{RoleKeys, Root, Targets};

pub(super) fn of_roots(before: Option<&Root>, after: &Root, name: &dyn Fn(&KeyId) -> String) -> Vec<String> {
    let mut lines = vec![match before {
        Some(before) => format!(
            "version {} to {}, expires {} (was {})",
            before.common.version, after.common.version, after.common.expires, before.common.expires
        ),
        None => format!("the first root, expires {}", after.common.expires),
    }];
    for (role, keys) in &after.roles {
        lines.extend(of_keys(role, before.map(|before| before.role(role)), keys, name));
    }
    if before.is_some_and(|before| before.consistent_snapshot != after.consistent_snapshot) {
        lines.push(format!("consistent_snapshot: {}", after.consistent_snapshot));
    }
    lines
}

fn of_keys(
    role: &str,
    before: Option<&RoleKeys>,
    after: &RoleKeys,
    name: &dyn Fn(&KeyId) -> String,
) -> Vec<String> {
    let old: BTreeSet<&KeyId> = before.into_iter().flat_map(|keys| &keys.keyids).collect();
    let new: BTreeSet<&KeyId> = after.keyids.iter().collect();
    let mut lines: Vec<String> = Vec::new();
    lines.extend(new.difference(&old).map(|id| format!("{role}: + {} ({id})", name(id))));
    lines.extend(old.difference(&new).map(|id| format!("{role}: - {} ({id})", name(id))));
    match before {
        Some(before) if before.threshold != after.threshold => {
            lines.push(format!(
                "{role}: {} of {} keys (was {})",
                after.threshold,
                new.len(),
                before.threshold
            ));
        }
        None => lines.push(format!("{role}: {} of {} keys", after.threshold, new.len())),
        Some(_) => {}
    }
    lines
}

pub(super) fn of_targets(
    before: Option<&Targets>,
    after: &Targets,
    name: &dyn Fn(&KeyId) -> String,
) -> Vec<String> {
    let version = |targets: &Targets| targets.common.version;
    let mut lines = vec![match before {
        Some(before) => {
            format!("version {} to {}, expires {}", version(before), version(after), after.common.expires)
        }
        None => format!("the first targets, expires {}", after.common.expires),
    }];
    let empty = std::collections::BTreeMap::new();
    let old = before.map_or(&empty, |before| &before.targets);
    for (target, row) in &after.targets {
        match old.get(target) {
            None => lines.push(format!("+ {target} ({} bytes)", row.length)),
            Some(was) if was != row => {
                lines.push(format!("~ {target} ({} bytes, was {})", row.length, was.length))
            }
            Some(_) => {}
        }
    }
    lines.extend(
        old.keys().filter(|target| !after.targets.contains_key(*target)).map(|target| format!("- {target}")),
    );
    for role in after.delegations.iter().flat_map(|all| &all.roles) {
        let was = before.and_then(|before| before.delegations.as_ref()?.role(&role.name));
        lines.extend(of_keys(&role.name, was, &role.keys, name));
    }
    lines
}
