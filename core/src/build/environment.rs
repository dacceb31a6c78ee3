//! What a builder finds in its environment and beside it in `/build`.
//!
//! Source: Nix manual, "Derivations", "Builder execution" and "Structured
//! attributes"; field for field as Nix does it.

use std::collections::BTreeMap;

use osbuild_store::StoreDir;
use osbuild_store::action::OutputName;
use osbuild_store::base32::to_nix_base32;
use sha2::{Digest, Sha256};

use super::BuildError;
use super::sandbox::File;
use crate::derivation::Derivation;

/// A builder's variables, and the files that come with them.
pub struct Environment {
    pub variables: BTreeMap<Vec<u8>, Vec<u8>>,
    pub files: Vec<File>,
}

fn plain_file(path: String, contents: Vec<u8>) -> File {
    File { path, contents, is_executable: false }
}

/// Makes the environment of a resolved derivation in which own placeholders
/// have been replaced. `outputs` are the logical paths to write to, `cores` is
/// `NIX_BUILD_CORES`.
///
/// # Errors
/// [`BuildError::Derivation`] if structured attributes are no JSON object.
pub fn environment(
    derivation: &Derivation,
    outputs: &BTreeMap<OutputName, String>,
    store_dir: &StoreDir,
    cores: Option<usize>,
    build_directory: &str,
) -> Result<Environment, BuildError> {
    let mut variables: BTreeMap<Vec<u8>, Vec<u8>> = [
        // Both say at once that a builder relies on what it was not given.
        ("PATH", "/path-not-set"),
        ("HOME", "/homeless-shelter"),
        ("NIX_STORE", store_dir.as_str()),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    if let Some(cores) = cores {
        variables.insert(b"NIX_BUILD_CORES".to_vec(), cores.to_string().into());
    }
    let mut files = Vec::new();
    if let Some(json) = derivation.environment.get(b"__json".as_slice()) {
        structured(json, outputs, build_directory, &mut variables, &mut files)?;
    } else {
        let as_files = derivation.environment_text("passAsFile").unwrap_or_default();
        let as_files: Vec<&str> = as_files.split_whitespace().collect();
        for (name, value) in &derivation.environment {
            match std::str::from_utf8(name) {
                Ok(text) if as_files.contains(&text) => {
                    let file = format!("{build_directory}/.attr-{}", to_nix_base32(&Sha256::digest(name)));
                    variables.insert(format!("{text}Path").into(), file.clone().into());
                    files.push(plain_file(file, value.clone()));
                }
                _ => {
                    variables.insert(name.clone(), value.clone());
                }
            }
        }
        for (name, path) in outputs {
            variables.insert(name.as_str().into(), path.as_bytes().to_vec());
        }
    }
    for (name, value) in [
        ("NIX_BUILD_TOP", build_directory),
        ("TMPDIR", build_directory),
        ("TEMPDIR", build_directory),
        ("TMP", build_directory),
        ("TEMP", build_directory),
        ("PWD", build_directory),
        ("NIX_LOG_FD", "2"),
        ("TERM", "xterm-256color"),
    ] {
        variables.insert(name.into(), value.into());
    }
    Ok(Environment { variables, files })
}

fn structured(
    json: &[u8],
    outputs: &BTreeMap<OutputName, String>,
    build_directory: &str,
    variables: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    files: &mut Vec<File>,
) -> Result<(), BuildError> {
    let mut attributes: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(json)
        .map_err(|e| BuildError::Derivation(format!("structured attributes are no JSON object: {e}")))?;
    let outputs = outputs.iter().map(|(name, path)| (name.to_string(), path.clone().into())).collect();
    attributes.insert("outputs".to_owned(), serde_json::Value::Object(outputs));
    let json = serde_json::to_vec(&attributes).expect("a JSON object serialises");
    for (variable, name, contents) in [
        ("NIX_ATTRS_SH_FILE", ".attrs.sh", shell(&attributes).into_bytes()),
        ("NIX_ATTRS_JSON_FILE", ".attrs.json", json),
    ] {
        let path = format!("{build_directory}/{name}");
        variables.insert(variable.into(), path.clone().into());
        files.push(plain_file(path, contents));
    }
    Ok(())
}

/// The attributes that a shell can hold: scalars, lists and sets of scalars.
fn shell(attributes: &serde_json::Map<String, serde_json::Value>) -> String {
    use serde_json::Value;
    let mut text = String::new();
    for (name, value) in attributes {
        let first = name.bytes().next().unwrap_or(b'0');
        let valid = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if first.is_ascii_digit() || !valid {
            continue;
        }
        if let Some(scalar) = shell_scalar(value) {
            text.push_str(&format!("declare {name}={scalar}\n"));
            continue;
        }
        match value {
            Value::Array(items) => {
                if let Some(items) = items.iter().map(shell_scalar).collect::<Option<Vec<_>>>() {
                    let items: String = items.iter().map(|item| format!("{item} ")).collect();
                    text.push_str(&format!("declare -a {name}=({items})\n"));
                }
            }
            Value::Object(members) => {
                let members = members.iter().map(|(k, v)| Some((k, shell_scalar(v)?)));
                if let Some(members) = members.collect::<Option<Vec<_>>>() {
                    let members: String =
                        members.iter().map(|(k, v)| format!("[{}]={v} ", quote(k))).collect();
                    text.push_str(&format!("declare -A {name}=({members})\n"));
                }
            }
            _ => {}
        }
    }
    text
}

fn shell_scalar(value: &serde_json::Value) -> Option<String> {
    use serde_json::Value;
    match value {
        Value::String(text) => Some(quote(text)),
        Value::Number(number) => number.as_i64().map(|number| number.to_string()),
        Value::Null => Some("''".to_owned()),
        Value::Bool(true) => Some("1".to_owned()),
        Value::Bool(false) => Some(String::new()),
        _ => None,
    }
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_reach_the_shell_as_nix_writes_them() {
        let json =
            r#"{"a":"it's","b":["x",1,true],"c":{"k":"v"},"d":null,"e":{"deep":{}},"no-name":"x","f":false}"#;
        let attributes = serde_json::from_str(json).unwrap();
        assert_eq!(
            shell(&attributes),
            "declare a='it'\\''s'\ndeclare -a b=('x' 1 1 )\ndeclare -A c=(['k']='v' )\ndeclare d=''\ndeclare f=\n"
        );
    }
}
