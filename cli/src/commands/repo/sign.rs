//! `osbuild repo sign`: the signature of a key holder.

use std::io::Write as _;
use std::path::PathBuf;

use osbuild_core::repo::staged::{Review, review, sign};
use serde_json::json;

use crate::commands::signing::SigningArguments;
use crate::config::CommonArguments;
use crate::error::Failure;

/// Show metadata that waits for signatures, and sign it
///
/// FILE is from the `staged` folder of a repository; nothing else of that is
/// needed, so that it can be signed on a machine that is offline. Without
/// --with it is only shown.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    signing: SigningArguments,
}

pub(super) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let name = |id: &String| format!("{id:.12}…");
    if arguments.signing.is_given() {
        let before = review(&arguments.file, &name)?;
        if !common.quiet && !common.json {
            eprint!("{}", shown(&before));
        }
    }
    if let Some(signing) = arguments.signing.open()? {
        sign(&arguments.file, &signing.signer, Some(&signing.key), &signing.name)?;
    }
    let review = review(&arguments.file, &name)?;
    let mut out = std::io::stdout().lock();
    if common.json {
        let due: Vec<_> = review
            .due
            .iter()
            .map(|due| json!({ "of": due.whose, "have": due.have, "threshold": due.threshold }))
            .collect();
        let record = json!({ "schema": 1, "role": review.role, "version": review.version, "changes": review.lines,
            "signedBy": review.signed, "due": due });
        writeln!(out, "{record}")?;
    } else if arguments.signing.is_given() {
        write!(out, "{}", due_of(&review))?;
    } else {
        write!(out, "{}{}", shown(&review), due_of(&review))?;
    }
    Ok(())
}

fn shown(review: &Review) -> String {
    let lines: String = review.lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("{} {}:\n{lines}", review.role, review.version)
}

fn due_of(review: &Review) -> String {
    let due = |due: &osbuild_core::repo::staged::Due| {
        format!("{} of {} signatures by {}\n", due.have, due.threshold, due.whose)
    };
    review.due.iter().map(due).collect()
}
