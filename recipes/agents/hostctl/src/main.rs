//! `hostctl`: asks and tells a node, over its API.
//!
//! Tables and TOML for people, the API's own records for programs (`--json`).
//! It holds nothing and decides nothing: whatever it can do, any program that
//! may open the socket can.

mod ask;
mod bundle;
mod node;
mod settings;
mod show;
mod update;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use ask::Failure;

/// Ask and tell this node
#[derive(Parser)]
#[command(name = "hostctl", version, propagate_version = true)]
struct Arguments {
    /// One JSON record on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show settings, secrets left out
    Get {
        /// A setting or a group (default: all)
        key: Option<String>,
        /// Only what somebody set, without defaults
        #[arg(long)]
        set: bool,
    },
    /// Set settings: all of them or none
    Set {
        /// Settings with their values: network.mtu=1400, a list as a,b, parts as JSON
        #[arg(required = true, value_name = "KEY=VALUE")]
        settings: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// Unset settings or groups: their defaults hold
    Unset {
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// Set what a TOML file says
    Apply {
        /// The file; - is standard input
        file: String,
        #[command(flatten)]
        how: How,
    },
    /// Make the changes that were collected under a name
    Commit {
        name: String,
        /// What to say of it in the history
        #[arg(short, long)]
        message: Option<String>,
        /// Go back unless confirmed within so many seconds
        #[arg(long, value_name = "SECONDS")]
        confirm: Option<u32>,
    },
    /// Forget the changes that were collected under a name
    Drop { name: String },
    /// Show what changes under a name would do, or which names there are
    Pending { name: Option<String> },
    /// Keep settings that would go back by themselves
    Confirm,
    /// Go back from settings that are not confirmed
    GoBack,
    /// Go back to the settings of an older generation
    Undo {
        /// Its number (default: the one before)
        to: Option<u64>,
    },
    /// Say what would become of the settings under another version
    Check {
        /// That version's schema, usr/share/osbuild/settings/schema.json of its root; - is standard input
        schema: String,
    },
    /// Show generations of the settings, newest first
    History,
    /// Show who asked for changes, newest first
    Audit {
        /// How many
        #[arg(long, default_value_t = 20)]
        most: u32,
    },
    /// Say what may be set
    Describe {
        /// A setting or a group (default: all)
        key: Option<String>,
    },
    /// Show how the settings are
    Status,
    /// Show units, those that failed first, and why they failed
    Services {
        /// Only this one, with its last lines
        name: Option<String>,
    },
    /// Show lines of the journal, oldest first
    Logs(node::Logs),
    /// Show what started, how long it took, and who would notice a hang
    Boot,
    /// Show the two slots of the disk
    Slots,
    /// Show what should hold of a node, whether it does, and how one sees it
    Report,
    /// Show and order updates
    #[command(subcommand)]
    Update(update::Command),
    /// Write all of this to one archive (tar.gz), without secrets
    Bundle {
        /// The file, which must not be there yet; - is standard output
        #[arg(default_value = "-")]
        file: String,
    },
}

/// How changes are made.
#[derive(Args)]
struct How {
    /// Only collect them, under this name
    #[arg(long, value_name = "NAME", conflicts_with_all = ["confirm", "message"])]
    transaction: Option<String>,
    /// What to say of them in the history
    #[arg(short, long)]
    message: Option<String>,
    /// Go back unless confirmed within so many seconds
    #[arg(long, value_name = "SECONDS")]
    confirm: Option<u32>,
}

fn main() -> ExitCode {
    let arguments = match words(std::env::args_os()) {
        Ok(words) => Arguments::parse_from(words),
        Err(reason) => {
            eprintln!("error: {reason}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(text) => {
            // Whoever reads it may have seen enough.
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(Failure { status, lines }) => {
            for line in lines {
                eprintln!("error: {line}");
            }
            ExitCode::from(status)
        }
    }
}

/// What was typed. As somebody's login shell it is given one text after `-c`:
/// its words are parted as a shell would, and nothing else is understood.
fn words(typed: impl Iterator<Item = OsString>) -> Result<Vec<OsString>, String> {
    let typed: Vec<OsString> = typed.collect();
    match typed.as_slice() {
        [name, flag, text] if flag == "-c" => {
            let text = text.to_str().ok_or("the command is no text")?;
            let words = shell_words::split(text).map_err(|_| "a quote is not closed")?;
            Ok([name.clone()].into_iter().chain(words.into_iter().map(OsString::from)).collect())
        }
        _ => Ok(typed),
    }
}

fn run(arguments: &Arguments) -> Result<String, Failure> {
    let json = arguments.json;
    let record = match &arguments.command {
        Command::Get { key, set } => settings::get(key.as_deref(), *set)?,
        Command::Set { settings, how } => settings::set(settings, how)?,
        Command::Unset { keys, how } => settings::unset(keys, how)?,
        Command::Apply { file, how } => settings::apply(file, how)?,
        Command::Commit { name, message, confirm } => settings::commit(name, message.as_deref(), *confirm)?,
        Command::Drop { name } => {
            ask::ask("DELETE", &format!("/v1/transactions/{}", ask::encoded(name)), None)?
        }
        Command::Pending { name: None } => ask::ask("GET", "/v1/transactions", None)?,
        Command::Pending { name: Some(name) } => {
            ask::ask("GET", &format!("/v1/transactions/{}", ask::encoded(name)), None)?
        }
        Command::Confirm => ask::ask("POST", "/v1/confirm", None)?,
        Command::GoBack => ask::ask("POST", "/v1/go-back", None)?,
        Command::Undo { to } => {
            let query = to.map(|to| format!("?to={to}")).unwrap_or_default();
            ask::ask("POST", &format!("/v1/undo{query}"), None)?
        }
        Command::Check { schema } => settings::check(schema)?,
        Command::History => ask::ask("GET", "/v1/history", None)?,
        Command::Audit { most } => ask::ask("GET", &format!("/v1/audit?most={most}"), None)?,
        Command::Describe { .. } => ask::ask("GET", "/v1/schema", None)?,
        Command::Status => ask::ask("GET", "/v1/status", None)?,
        Command::Services { name } => node::services(name.as_deref())?,
        Command::Logs(wanted) => node::logs(wanted)?,
        Command::Boot => ask::ask("GET", "/v1/node/boot", None)?,
        Command::Slots => ask::ask("GET", "/v1/node/slots", None)?,
        Command::Report => ask::ask("GET", "/v1/node/report", None)?,
        Command::Update(command) => update::run(command, json)?,
        Command::Bundle { .. } if json => {
            return Err(Failure::usage("a bundle is an archive: the records are in it"));
        }
        Command::Bundle { file } => {
            bundle::write(file)?;
            return Ok(String::new());
        }
    };
    if json {
        return Ok(format!("{record}\n"));
    }
    Ok(match &arguments.command {
        Command::Get { .. } => show::toml(&record["settings"]),
        Command::Check { .. } => show::check(&record),
        Command::History => show::history(&record),
        Command::Audit { .. } => show::audit(&record),
        Command::Describe { key } => show::schema(&record, key.as_deref())?,
        Command::Status => show::status(&record),
        Command::Services { .. } => show::node::services(&record),
        Command::Logs(_) => show::node::logs(&record),
        Command::Boot => show::node::boot(&record),
        Command::Slots => show::node::slots(&record),
        Command::Report => show::node::report(&record),
        Command::Update(_) => show::update::status(&record),
        Command::Pending { name: None } => show::transactions(&record),
        _ => show::changes(&record),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(typed: &[&str]) -> Result<Vec<String>, String> {
        let words = words(typed.iter().map(OsString::from))?;
        Ok(words.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn a_login_shell_parts_words_and_runs_nothing() {
        assert_eq!(parted(&["hostctl", "get", "a"]).unwrap(), ["hostctl", "get", "a"]);
        let command = r#"set 'labels."a/b"=c d' x=$HOME; `id` > f | g"#;
        assert_eq!(
            parted(&["-hostctl", "-c", command]).unwrap(),
            ["-hostctl", "set", r#"labels."a/b"=c d"#, "x=$HOME;", "`id`", ">", "f", "|", "g"]
        );
        assert_eq!(parted(&["hostctl", "-c", "get 'a"]), Err("a quote is not closed".to_owned()));
        assert_eq!(parted(&["-hostctl"]).unwrap(), ["-hostctl"]);
    }
}
