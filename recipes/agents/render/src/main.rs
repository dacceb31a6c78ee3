//! `render`: writes the files of `/etc` that follow from the settings.
//!
//! `plan` says what would change and whom it concerns, `apply` does it and
//! says the same. Both read the settings with their defaults on standard
//! input, by name, and print one JSON record. `test` is for the build: every
//! template at every edge of what may be set, and every unit that one names
//! in one of the directories.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use osbuild_render::{Output, Plan, Template, try_all};
use osbuild_schema::{Document, Schema};
use serde_json::{Value, json};

const TEMPLATES: &str = "/usr/share/osbuild/templates";
const SCHEMA: &str = "/usr/share/osbuild/settings/schema.json";
const FACTS: &str = "/run/osbuild/nodeconfig/facts.json";
const ETC: &str = "/etc";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["plan"] => install(false),
        ["apply"] => install(true),
        ["test", schema, templates, facts, units @ ..] => {
            test(Path::new(schema), Path::new(templates), Path::new(facts), units)
        }
        _ => Err(vec!["usage: render plan | apply | test SCHEMA TEMPLATES FACTS DIRECTORY…".to_owned()]),
    };
    match done {
        Ok(record) => {
            println!("{record}");
            ExitCode::SUCCESS
        }
        Err(lines) => {
            for line in lines {
                eprintln!("{line}");
            }
            ExitCode::FAILURE
        }
    }
}

type Outcome<T> = Result<T, Vec<String>>;

fn one(error: impl std::fmt::Display) -> Vec<String> {
    vec![error.to_string()]
}

fn install(is_for_real: bool) -> Outcome<Value> {
    let schema = schema(Path::new(SCHEMA))?;
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).map_err(one)?;
    let effective: Document =
        serde_json::from_slice(&text).map_err(|error| one(format!("settings: {error}")))?;
    // A node that knows nothing of itself yet is a node, too.
    let facts = match std::fs::read(FACTS) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| one(format!("{FACTS}: {error}")))?,
        Err(_) => json!({}),
    };
    let mut outputs: Vec<Output> = Vec::new();
    let mut problems = Vec::new();
    for template in templates(Path::new(TEMPLATES), &schema)? {
        match template.render(&schema, &effective, &facts) {
            Ok(output) => outputs.push(output),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let plan = Plan::new(Path::new(ETC), &outputs).map_err(one)?;
    if is_for_real {
        plan.carry_out(Path::new(ETC)).map_err(one)?;
    }
    serde_json::to_value(&plan).map_err(one)
}

fn test(schema_file: &Path, directory: &Path, facts: &Path, unit_directories: &[&str]) -> Outcome<Value> {
    let schema = schema(schema_file)?;
    let facts = std::fs::read(facts).map_err(|error| one(format!("{}: {error}", facts.display())))?;
    let facts: Value = serde_json::from_slice(&facts).map_err(|error| one(format!("facts: {error}")))?;
    let templates = templates(directory, &schema)?;
    let mut problems = Vec::new();
    let mut count = 0;
    let mut defaults = Vec::new();
    for template in &templates {
        for unit in template.units() {
            if !unit_directories.iter().any(|directory| Path::new(directory).join(unit).is_file()) {
                problems.push(format!("{}: the image has no unit {unit}", template.name));
            }
        }
        for trial in try_all(template, &schema, &facts) {
            count += 1;
            match trial.result {
                Err(error) => problems.push(format!("{error}\n  with {}", trial.settings)),
                Ok(output) if trial.settings == "the defaults" => defaults.push(output),
                Ok(_) => {}
            }
        }
    }
    // Two templates for one file show here already.
    if let Err(error) = Plan::new(Path::new("/nonexistent"), &defaults) {
        problems.push(error.to_string());
    }
    if problems.is_empty() {
        Ok(json!({ "schema": 1, "templates": templates.len(), "trials": count }))
    } else {
        Err(problems)
    }
}

fn schema(file: &Path) -> Outcome<Schema> {
    let text = std::fs::read(file).map_err(|error| one(format!("{}: {error}", file.display())))?;
    Schema::parse(&text).map_err(|error| one(format!("{}: {error}", file.display())))
}

/// In the order of their names.
fn templates(directory: &Path, schema: &Schema) -> Outcome<Vec<Template>> {
    let fail = |error: std::io::Error| one(format!("{}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in directory.read_dir().map_err(fail)? {
        files.push(entry.map_err(fail)?.path());
    }
    files.sort();
    let mut templates = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text =
            std::fs::read_to_string(&file).map_err(|error| one(format!("{}: {error}", file.display())))?;
        match Template::parse(&name, &text, schema) {
            Ok(template) => templates.push(template),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if problems.is_empty() { Ok(templates) } else { Err(problems) }
}
