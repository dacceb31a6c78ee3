//! Putting actual paths where placeholders stood, and the key that names the
//! result. Pure.

use std::collections::BTreeMap;

use osbuild_store::action::{ActionKey, OutputName};
use osbuild_store::{StoreDir, StorePath};
use sha2::{Digest, Sha256};

use super::Outputs;
use crate::build::Resolved;
use crate::build::sandbox::SANDBOX_ABI;
use crate::derivation::aterm::{Aterm, to_aterm};
use crate::derivation::hash_modulo::{HashModulo, hash_modulo};
use crate::derivation::{Derivation, Output, placeholder};

/// Resolves a derivation whose inputs' outputs are known.
///
/// `inputs` gives each input derivation's outputs; those in use are there.
pub fn resolve<'o>(
    path: &StorePath,
    derivation: &Derivation,
    store_dir: &StoreDir,
    inputs: impl Fn(&StorePath) -> &'o Outputs,
) -> Resolved {
    let mut sources = derivation.input_sources.clone();
    let mut replacements = BTreeMap::new();
    for (input, names) in &derivation.input_derivations {
        let outputs = inputs(input);
        for name in names {
            let output = &outputs[name];
            sources.insert(output.clone());
            replacements
                .insert(placeholder::upstream_output(input, name.as_str()), store_dir.display(output));
        }
    }
    let mut resolved = replace_strings(derivation, &replacements);
    resolved.input_derivations.clear();
    resolved.input_sources = sources;
    if resolved.outputs.values().any(|output| matches!(output, Output::Deferred)) {
        fill_deferred(path, &mut resolved, store_dir);
    }
    let key = action_key(&resolved, store_dir);
    Resolved { path: path.clone(), derivation: resolved, key }
}

/// SHA-256 over everything that determines a build: the sandbox's ABI and the
/// resolved derivation. The number of cores is not in it.
pub fn action_key(resolved: &Derivation, store_dir: &StoreDir) -> ActionKey {
    let mut hash = Sha256::new();
    hash.update(b"osbuild-action-1\0");
    hash.update(SANDBOX_ABI.to_le_bytes());
    hash.update(to_aterm(resolved, store_dir));
    ActionKey::from_digest(hash.finalize().into())
}

/// Input-addressed above a floating input: the paths follow from the resolved
/// derivation, as Nix computes them.
fn fill_deferred(path: &StorePath, resolved: &mut Derivation, store_dir: &StoreDir) {
    let written = Aterm::of(resolved, store_dir);
    let HashModulo::Known(hash) = hash_modulo(resolved, &written, store_dir, |_| HashModulo::Deferred) else {
        return;
    };
    let name = path.derivation_name();
    let names: Vec<OutputName> = resolved.outputs.keys().cloned().collect();
    for output in names {
        let Ok(path) = store_dir.output_path(output.as_str(), &hash, name) else { return };
        let variable = resolved.environment.get_mut(output.as_str().as_bytes());
        if let Some(value) = variable {
            *value = store_dir.display(&path).into_bytes();
        }
        resolved.outputs.insert(output, Output::InputAddressed(path));
    }
}

/// Replaces placeholders (a slash and 52 base-32 digits) in builder, arguments
/// and environment.
pub fn replace_strings(derivation: &Derivation, replacements: &BTreeMap<String, String>) -> Derivation {
    let mut replaced = derivation.clone();
    if replacements.is_empty() {
        return replaced;
    }
    let replace = |bytes: &mut Vec<u8>| {
        if let Some(new) = replace_bytes(bytes, replacements) {
            *bytes = new;
        }
    };
    replace(&mut replaced.builder);
    replaced.arguments.iter_mut().for_each(replace);
    replaced.environment.values_mut().for_each(replace);
    replaced
}

/// The length of a SHA-256 digest in base 32, and the slash before it.
const PLACEHOLDER_BYTES: usize = 53;

fn replace_bytes(bytes: &[u8], replacements: &BTreeMap<String, String>) -> Option<Vec<u8>> {
    let mut out = None;
    let mut copied = 0;
    let mut start = 0;
    while start + PLACEHOLDER_BYTES <= bytes.len() {
        if bytes[start] != b'/' {
            start += 1;
            continue;
        }
        let found = std::str::from_utf8(&bytes[start..start + PLACEHOLDER_BYTES])
            .ok()
            .and_then(|text| replacements.get(text));
        if let Some(path) = found {
            let out = out.get_or_insert_with(|| Vec::with_capacity(bytes.len()));
            out.extend_from_slice(&bytes[copied..start]);
            out.extend_from_slice(path.as_bytes());
            start += PLACEHOLDER_BYTES;
            copied = start;
        } else {
            start += 1;
        }
    }
    out.map(|mut out| {
        out.extend_from_slice(&bytes[copied..]);
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use osbuild_store::HashAlgorithm;

    fn floating() -> Derivation {
        let output = Output::Floating { recursive: true, algorithm: HashAlgorithm::Sha256 };
        Derivation {
            outputs: BTreeMap::from([(OutputName::out(), output)]),
            input_derivations: BTreeMap::new(),
            input_sources: Default::default(),
            system: b"x86_64-linux".to_vec(),
            builder: b"/bin/sh".to_vec(),
            arguments: Vec::new(),
            environment: BTreeMap::from([(b"name".to_vec(), b"x".to_vec())]),
        }
    }

    #[test]
    fn the_action_key_is_golden() {
        // Whoever changes this number has made every build anew, everywhere.
        let key = action_key(&floating(), &StoreDir::default());
        assert_eq!(key.to_hex(), "f197becae602f429e612132c75ca2ef8d780860db4319516faba0c5a7bd9da40");
    }

    #[test]
    fn placeholders_give_way_and_the_key_follows_the_contents() {
        let dir = StoreDir::default();
        let input = StorePath::new([1; 20], "dep.drv").unwrap();
        let path = StorePath::new([2; 20], "x.drv").unwrap();
        let mut derivation = floating();
        derivation.input_derivations.insert(input.clone(), [OutputName::out()].into());
        let text = format!("a{}/bin:{}", placeholder::upstream_output(&input, "out"), "/short");
        derivation.environment.insert(b"dep".to_vec(), text.into_bytes());
        let at = |byte: u8| Outputs::from([(OutputName::out(), StorePath::new([byte; 20], "dep").unwrap())]);
        let (one, two) = (at(3), at(4));
        let first = resolve(&path, &derivation, &dir, |_| &one);
        let expected = format!("a{}/bin:/short", dir.display(&one[&OutputName::out()]));
        assert_eq!(first.derivation.environment_text("dep"), Some(expected.as_str()));
        assert!(first.derivation.input_derivations.is_empty());
        assert_ne!(first.key, resolve(&path, &derivation, &dir, |_| &two).key);

        // Another derivation upstream with the same outcome gives the same key.
        let other = StorePath::new([9; 20], "dep.drv").unwrap();
        let mut changed = floating();
        changed.input_derivations.insert(other.clone(), [OutputName::out()].into());
        let text = format!("a{}/bin:{}", placeholder::upstream_output(&other, "out"), "/short");
        changed.environment.insert(b"dep".to_vec(), text.into_bytes());
        assert_eq!(first.key, resolve(&path, &changed, &dir, |_| &one).key);
    }
}
