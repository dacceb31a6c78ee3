//! `osbuild derivation`: what a target's derivation says.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use osbuild_core::derivation::aterm::from_aterm;
use osbuild_core::derivation::{Derivation, Output};
use osbuild_store::{StoreDir, StorePath};
use serde_json::{Value, json};

use crate::config::CommonArguments;
use crate::error::{Exit, Failure};
use crate::session::{self, FunctionArguments};

/// Look at derivations
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Show(ShowArguments),
}

/// Print a derivation as Nix's JSON
#[derive(clap::Args)]
pub(crate) struct ShowArguments {
    /// Variants, packages, folders, .nix files or .drv files
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
    #[command(flatten)]
    arguments: FunctionArguments,
}

pub(crate) fn run(command: Command, common: &CommonArguments) -> Result<(), Failure> {
    let Command::Show(arguments) = command;
    let store_dir = StoreDir::default();
    let mut shown: BTreeMap<String, Value> = BTreeMap::new();
    let mut words = Vec::new();
    for word in arguments.targets {
        if word.ends_with(".drv") && Path::new(&word).is_file() {
            let (path, derivation) = read(Path::new(&word), &store_dir)?;
            shown.insert(store_dir.display(&path), to_json(&path, &derivation, &store_dir));
        } else {
            words.push(word);
        }
    }
    if !words.is_empty() {
        let (targets, project) = session::targets(&words, common)?;
        let mut session = session::for_targets(&targets, project.as_ref(), session::lazily(common)?);
        for target in &targets {
            let given = arguments.arguments.to_arguments();
            for found in session.instantiate_target(target, project.as_ref(), &given)? {
                let path = found.drv_path;
                let derivation = session.derivation(&path).expect("a session keeps what it made");
                shown.insert(store_dir.display(&path), to_json(&path, &derivation, &store_dir));
            }
        }
    }
    let text = serde_json::to_string_pretty(&shown).expect("JSON values serialise");
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}

/// A `.drv` file anywhere on this machine.
fn read(file: &Path, store_dir: &StoreDir) -> Result<(StorePath, Derivation), Failure> {
    let fail = |what: String| Failure::new(Exit::Failed, &format!("{}: {what}", file.display()));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let path = StorePath::parse(&name).map_err(|e| fail(e.to_string()))?;
    let bytes = std::fs::read(file).map_err(|e| fail(format!("cannot read: {e}")))?;
    let derivation = from_aterm(&bytes, store_dir).map_err(|e| fail(e.to_string()))?;
    Ok((path, derivation))
}

/// As `nix derivation show` prints it. Bytes that are not UTF-8 are replaced:
/// JSON cannot hold them.
fn to_json(path: &StorePath, derivation: &Derivation, store_dir: &StoreDir) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let outputs: BTreeMap<&str, Value> = derivation
        .outputs
        .iter()
        .map(|(name, output)| (name.as_str(), output_json(output, store_dir)))
        .collect();
    let inputs: BTreeMap<String, Value> = derivation
        .input_derivations
        .iter()
        .map(|(path, outputs)| {
            let outputs: Vec<&str> = outputs.iter().map(|name| name.as_str()).collect();
            (store_dir.display(path), json!({ "dynamicOutputs": {}, "outputs": outputs }))
        })
        .collect();
    let sources: Vec<String> = derivation.input_sources.iter().map(|p| store_dir.display(p)).collect();
    let arguments: Vec<String> = derivation.arguments.iter().map(|a| text(a)).collect();
    let environment: BTreeMap<String, String> =
        derivation.environment.iter().map(|(name, value)| (text(name), text(value))).collect();
    json!({
        "args": arguments,
        "builder": text(&derivation.builder),
        "env": environment,
        "inputDrvs": inputs,
        "inputSrcs": sources,
        "name": path.derivation_name(),
        "outputs": outputs,
        "system": text(&derivation.system),
    })
}

fn output_json(output: &Output, store_dir: &StoreDir) -> Value {
    let method = |recursive: bool| if recursive { "nar" } else { "flat" };
    match output {
        Output::InputAddressed(path) => json!({ "path": store_dir.display(path) }),
        Output::Fixed { path, recursive, hash } => json!({
            "hash": hash.to_hex(),
            "hashAlgo": hash.algorithm().name(),
            "method": method(*recursive),
            "path": store_dir.display(path),
        }),
        Output::Floating { recursive, algorithm } => json!({
            "hashAlgo": algorithm.name(),
            "method": method(*recursive),
        }),
        Output::Deferred => json!({}),
    }
}
