//! `builtin:join` version 1: several store objects in one directory.
//!
//! Parameters: `entries`, from file name to a path at or below a store object.

use std::collections::BTreeMap;
use std::fs;

use osbuild_store::action::OutputName;
use serde::Deserialize;

use super::link_tree::link_tree;
use super::{BuiltinContext, BuiltinError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    entries: BTreeMap<String, String>,
}

pub(super) fn run(context: &BuiltinContext<'_>) -> Result<(), BuiltinError> {
    let parameters: Parameters = serde_json::from_value(context.parameters.clone())
        .map_err(|source| BuiltinError::Parameters { builder: "join", source })?;
    let out = &context.outputs[&OutputName::out()];
    fs::create_dir(out).map_err(BuiltinError::io("make the directory", out))?;
    for (name, source) in &parameters.entries {
        if name.is_empty() || name == "." || name == ".." || name.contains('/') {
            return Err(BuiltinError::Refused(format!("'{name}' is no file name")));
        }
        link_tree(&(context.physical)(source)?, &out.join(name))?;
    }
    Ok(())
}
