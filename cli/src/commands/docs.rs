//! `osbuild docs`: reference pages made from what they describe.

use std::io::Write;

use osbuild_core::instantiate::Source;
use osbuild_core::instantiate::target::Target;
use osbuild_core::lang::builtins::documentation::DOCUMENTATION;
use osbuild_store::StoreDir;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::CommonArguments;
use crate::error::{Exit, Failure};
use crate::session;

/// Print reference pages, as Markdown or JSON
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Options(OptionsArguments),
    Builtins(BuiltinsArguments),
}

/// Print every option that a variant may set
#[derive(clap::Args)]
pub(crate) struct OptionsArguments {
    /// The variant whose options they are (default: the first one)
    #[arg(value_name = "VARIANT")]
    variant: Option<String>,
}

/// Print every function that is part of the language
#[derive(clap::Args)]
pub(crate) struct BuiltinsArguments {}

pub(crate) fn run(command: Command, common: &CommonArguments) -> Result<(), Failure> {
    let page = match command {
        Command::Options(arguments) => options(arguments, common)?,
        Command::Builtins(_) => builtins(common.json),
    };
    std::io::stdout().lock().write_all(page.as_bytes())?;
    Ok(())
}

/// An option as the module system describes it.
#[derive(Deserialize)]
struct Described {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    description: String,
    default: Option<String>,
    example: Option<String>,
    #[serde(rename = "readOnly")]
    read_only: bool,
    declared: Option<String>,
}

fn options(arguments: OptionsArguments, common: &CommonArguments) -> Result<String, Failure> {
    let project = session::project(common)?;
    let mut session = session::for_targets(&[], Some(&project), session::lazily(common)?);
    let variant = match arguments.variant {
        Some(variant) => variant,
        None => session.catalogue(&project)?.variants.into_iter().next().ok_or_else(|| {
            Failure::new(Exit::Failed, "the project has no variants, so there is nothing to describe")
        })?,
    };
    let target = Target::parse(&variant, &session::working_directory()?, &StoreDir::default())?;
    if matches!(target, Target::Folder { .. }) {
        session =
            session::for_targets(std::slice::from_ref(&target), Some(&project), session::lazily(common)?);
    }
    let (source, found): (Source, String) = target.source(&mut session, Some(&project))?;
    let dot = if found.is_empty() { "" } else { "." };
    let text = session.eval_json(&source, &format!("{found}{dot}documentation"), &Default::default())?;
    let wrong =
        |error| Failure::new(Exit::Failed, &format!("'{variant}' does not describe options: {error}"));
    let mut options: Vec<Described> = serde_json::from_str(&text).map_err(wrong)?;
    // Where the project lies on this machine is of no interest.
    let root = format!("{}/", project.root().display());
    for option in &mut options {
        option.declared = option.declared.take().map(|place| place.replacen(&root, "", 1));
    }
    Ok(if common.json { options_json(&options) } else { options_page(&options) })
}

fn options_json(options: &[Described]) -> String {
    let entry = |option: &Described| {
        json!({
            "path": option.path,
            "type": option.kind,
            "description": option.description,
            "default": option.default,
            "example": option.example,
            "readOnly": option.read_only,
            "declared": option.declared,
        })
    };
    let options: Vec<Value> = options.iter().map(entry).collect();
    format!("{}\n", json!({ "schema": 1, "options": options }))
}

fn options_page(options: &[Described]) -> String {
    let mut page = "# Options of variants\n\nA variant sets these in its `variant.nix`. \
                    `<name>` stands for a name of your choice, `*` for each element of a list.\n"
        .to_owned();
    for option in options {
        page.push_str(&format!("\n## `{}`\n\n{}\n\n", option.path, option.description.trim()));
        let read_only = if option.read_only { ", read-only" } else { "" };
        page.push_str(&format!("- Type: {}{read_only}\n", option.kind));
        match &option.default {
            Some(default) => page.push_str(&format!("- Default: {}\n", code(default))),
            None => page.push_str("- No default\n"),
        }
        if let Some(example) = &option.example {
            page.push_str(&format!("- Example: {}\n", code(example)));
        }
        if let Some(declared) = &option.declared {
            page.push_str(&format!("- Declared in `{declared}`\n"));
        }
    }
    page
}

/// Code in a line of Markdown, whatever backticks are in it.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let blank = if longest > 0 { " " } else { "" };
    format!("{fence}{blank}{text}{blank}{fence}")
}

fn builtins(as_json: bool) -> String {
    if as_json {
        let entries: Vec<Value> = DOCUMENTATION
            .iter()
            .map(|entry| json!({ "name": entry.name, "arguments": entry.arguments, "text": entry.text }))
            .collect();
        return format!("{}\n", json!({ "schema": 1, "builtins": entries }));
    }
    let mut page =
        "# Built-in functions\n\nMembers of the set `builtins`, which every program sees.\n".to_owned();
    for entry in DOCUMENTATION {
        page.push_str(&format!("\n## `{}`\n\n{}\n", entry.call(), entry.text));
    }
    page
}
