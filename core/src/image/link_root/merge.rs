//! Packages to one tree, and the tables over it.

use std::collections::BTreeMap;

use osbuild_format::hex;
use osbuild_format::root_manifest::{Entry, Node, is_clean_path, split_parent};
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::build::builtin::{BuiltinContext, BuiltinError};
use crate::image::glob::Glob;
use crate::image::tree::{Member, MemberKind, members};

use super::scan::{Scan, scan};
use super::{Package, Parameters};

/// The merged tree.
pub(super) struct Merged {
    /// By absolute path.
    pub(super) entries: BTreeMap<String, Entry>,
    /// What reading each file's contents showed.
    pub(super) scans: BTreeMap<String, Scan>,
    /// Files that a filter took away: name to (package, path).
    pub(super) excluded: BTreeMap<String, (String, String)>,
    /// Files that were set-user-id on the builder's disk.
    pub(super) setuid: Vec<String>,
}

/// Merges the packages, then applies the tables of directories, links and
/// attributes.
///
/// # Errors
/// All conflicts at once, each naming both sides; bad rows of the tables.
pub(super) fn merge(
    context: &BuiltinContext<'_>,
    pool: &ThreadPool,
    parameters: &Parameters,
) -> Result<Merged, BuiltinError> {
    let mut merged = Merged {
        entries: BTreeMap::new(),
        scans: BTreeMap::new(),
        excluded: BTreeMap::new(),
        setuid: Vec::new(),
    };
    let mut conflicts = Vec::new();
    insert(&mut merged.entries, "/", 0o755, Node::Directory);
    for package in &parameters.packages {
        add_package(context, pool, package, &mut merged, &mut conflicts)?;
    }
    for row in &parameters.directories {
        let path = absolute(&row.path)?;
        let mode = parse_mode(&path, &row.mode)?;
        if let Some(other) = merged.entries.get(&path).filter(|e| e.node != Node::Directory) {
            conflicts.push(conflict(&path, other, "the variant's directories", "a directory"));
            continue;
        }
        add_parents(&mut merged.entries, &path);
        insert(&mut merged.entries, &path, mode, Node::Directory);
        let entry = merged.entries.get_mut(&path).expect("just inserted");
        (entry.uid, entry.gid) = (row.uid, row.gid);
    }
    for row in &parameters.links {
        let path = absolute(&row.path)?;
        let node = Node::Link { target: row.target.clone() };
        if let Some(other) = merged.entries.get(&path).filter(|e| e.node != node) {
            conflicts.push(conflict(&path, other, "the variant's links", "a link"));
            continue;
        }
        add_parents(&mut merged.entries, &path);
        insert(&mut merged.entries, &path, 0o777, node);
    }
    check_parents(&merged.entries, &mut conflicts);
    if !conflicts.is_empty() {
        conflicts.insert(0, format!("packages do not fit together: {} conflict(s)", conflicts.len()));
        conflicts.push("`image.exclude` leaves a file of a package out of images".to_owned());
        return Err(BuiltinError::Refused(conflicts.join("\n")));
    }
    apply_attributes(context, parameters, &mut merged.entries)?;
    Ok(merged)
}

fn add_package(
    context: &BuiltinContext<'_>,
    pool: &ThreadPool,
    package: &Package,
    merged: &mut Merged,
    conflicts: &mut Vec<String>,
) -> Result<(), BuiltinError> {
    let root = (context.physical)(&package.path)?;
    let exclude: Vec<Glob> = package.exclude.iter().map(|text| Glob::new(text)).collect();
    let found = members(&root, &exclude)?;
    for path in found.excluded {
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        merged.excluded.entry(name).or_insert_with(|| (package.pname.clone(), path));
    }
    let scan_member = |member: &Member| match member.kind {
        MemberKind::File { .. } => scan(&root.join(&member.path)).map(Some),
        _ => Ok(None),
    };
    let scans: Vec<Option<Scan>> =
        pool.install(|| found.kept.par_iter().map(scan_member).collect::<Result<_, BuiltinError>>())?;
    for (member, scan) in found.kept.into_iter().zip(scans) {
        let path = format!("/{}", member.path);
        let entry = entry(package, &path, &member, scan.as_ref());
        match merged.entries.get(&path) {
            // Two packages may bring one directory, one link, or equal files.
            Some(have) if same(have, &entry) => continue,
            Some(have) => {
                conflicts.push(conflict(&path, have, &package.pname, kind(&entry.node)));
                continue;
            }
            None => {}
        }
        if matches!(member.kind, MemberKind::File { setuid: true, .. }) {
            merged.setuid.push(path.clone());
        }
        merged.scans.extend(scan.map(|scan| (path.clone(), scan)));
        merged.entries.insert(path, entry);
    }
    Ok(())
}

fn entry(package: &Package, path: &str, member: &Member, scan: Option<&Scan>) -> Entry {
    let (mode, node) = match &member.kind {
        MemberKind::Directory => (0o755, Node::Directory),
        MemberKind::Link { target } => (0o777, Node::Link { target: target.clone() }),
        MemberKind::File { executable, .. } => {
            let scan = scan.expect("files were scanned");
            let (store, file) = (package.path.clone(), member.path.clone());
            let node = Node::File { store, file, blake3: *scan.blake3.as_bytes(), size: scan.size };
            (if *executable { 0o755 } else { 0o644 }, node)
        }
    };
    let package = (node != Node::Directory).then(|| package.pname.clone());
    Entry { path: path.to_owned(), mode, uid: 0, gid: 0, xattrs: BTreeMap::new(), package, node }
}

fn same(a: &Entry, b: &Entry) -> bool {
    match (&a.node, &b.node) {
        (Node::File { blake3: x, .. }, Node::File { blake3: y, .. }) => x == y && a.mode == b.mode,
        (x, y) => x == y,
    }
}

fn kind(node: &Node) -> &'static str {
    match node {
        Node::Directory => "a directory",
        Node::Link { .. } => "a link",
        Node::File { .. } | Node::Inline { .. } => "a file",
    }
}

fn conflict(path: &str, have: &Entry, other: &str, other_kind: &str) -> String {
    let owner = have.package.as_deref().unwrap_or("an earlier package");
    let have_kind = kind(&have.node);
    if have_kind == other_kind {
        format!("{path}: {owner} and {other} both bring it, with different contents")
    } else {
        format!("{path}: {have_kind} of {owner}, {other_kind} of {other}")
    }
}

/// A member below what another package made a link or a file.
fn check_parents(entries: &BTreeMap<String, Entry>, conflicts: &mut Vec<String>) {
    for entry in entries.values().filter(|e| e.path != "/") {
        let parent = split_parent(&entry.path).0;
        match entries.get(parent) {
            Some(above) if above.node == Node::Directory => {}
            Some(above) => {
                let owner = entry.package.as_deref().unwrap_or("the variant");
                conflicts.push(conflict(parent, above, owner, "a directory"));
            }
            None => conflicts.push(format!("{}: its directory is missing", entry.path)),
        }
    }
    conflicts.dedup();
}

/// Adds an entry of the linker's own, owned by root.
pub(super) fn insert(entries: &mut BTreeMap<String, Entry>, path: &str, mode: u16, node: Node) {
    let entry =
        Entry { path: path.to_owned(), mode, uid: 0, gid: 0, xattrs: BTreeMap::new(), package: None, node };
    entries.insert(path.to_owned(), entry);
}

/// Adds the directories above a path that are missing.
pub(super) fn add_parents(entries: &mut BTreeMap<String, Entry>, path: &str) {
    let mut path = path;
    while path != "/" {
        path = split_parent(path).0;
        if !entries.contains_key(path) {
            insert(entries, path, 0o755, Node::Directory);
        }
    }
}

fn apply_attributes(
    context: &BuiltinContext<'_>,
    parameters: &Parameters,
    entries: &mut BTreeMap<String, Entry>,
) -> Result<(), BuiltinError> {
    for row in &parameters.attributes {
        let glob = Glob::new(&row.glob);
        let mode = row.mode.as_deref().map(|text| parse_mode(&row.glob, text)).transpose()?;
        let mut xattrs = BTreeMap::new();
        for (name, text) in &row.xattrs {
            let value = match text.strip_prefix("0x") {
                Some(digits) => hex::decode(digits).ok_or_else(|| {
                    BuiltinError::Refused(format!("attributes of {}: {name}: bad hexadecimal", row.glob))
                })?,
                None => text.clone().into_bytes(),
            };
            xattrs.insert(name.clone(), value);
        }
        let mut used = false;
        for entry in entries.values_mut().filter(|e| glob.matches(&e.path)) {
            used = true;
            entry.uid = row.uid.unwrap_or(entry.uid);
            entry.gid = row.gid.unwrap_or(entry.gid);
            if !matches!(entry.node, Node::Link { .. }) {
                entry.mode = mode.unwrap_or(entry.mode);
            }
            entry.xattrs.extend(xattrs.clone());
        }
        if !used {
            (context.log)(&format!("note: the attributes of {} name nothing in this root", row.glob));
        }
    }
    Ok(())
}

/// A table's path from the root; the leading slash may be left out.
pub(in crate::image) fn absolute(path: &str) -> Result<String, BuiltinError> {
    let absolute = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    if is_clean_path(&absolute) && absolute != "/" {
        return Ok(absolute);
    }
    Err(BuiltinError::Refused(format!("'{path}' is no clean path from the root")))
}

fn parse_mode(path: &str, text: &str) -> Result<u16, BuiltinError> {
    let mode = u16::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| BuiltinError::Refused(format!("{path}: '{text}' is no octal mode")))
}
