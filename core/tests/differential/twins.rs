//! Both evaluators, given many programs at once.
//!
//! Real Nix takes longer to start than to run such programs, so a batch is two
//! of its processes: `nix repl` tells which programs fail and why, and one
//! `nix-instantiate` prints the values of all others in one list.

use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use osbuild_core::instantiate::sink::Computing;
use osbuild_core::instantiate::{Arguments, Output, Session, SessionOptions, Source};

use crate::judge::judge;

/// What became of one program.
pub(crate) enum Outcome {
    Same,
    /// The last line of each message.
    BothFail {
        ours: String,
        theirs: String,
    },
    Different {
        ours: Result<String, String>,
        theirs: Result<String, String>,
    },
    /// The judge ended without an answer, or read a file of its store, which is
    /// not in ours.
    Unjudged,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |result: &Result<String, String>| match result {
            Ok(value) => value.clone(),
            Err(message) => format!("error: {message}"),
        };
        match self {
            Self::Same => f.write_str("same"),
            Self::Unjudged => f.write_str("the judge ended without an answer"),
            Self::BothFail { ours, theirs } => write!(f, "ours:   {ours}\n  theirs: {theirs}"),
            Self::Different { ours, theirs } => {
                write!(f, "ours:   {}\n  theirs: {}", side(ours), side(theirs))
            }
        }
    }
}

pub(crate) struct Twins {
    store: tempfile::TempDir,
}

type Side = Result<String, String>;

/// The message of a program at which the judge ended.
const NO_ANSWER: &str = "(no answer)";

/// How long the judge may take for one batch; usually a part of a second.
const PATIENCE: Duration = Duration::from_secs(10);

impl Twins {
    /// `None` where there is no judge.
    pub(crate) fn new() -> Option<Self> {
        judge("nix")?;
        judge("nix-instantiate")?;
        Some(Self { store: tempfile::tempdir().expect("a temporary directory") })
    }

    pub(crate) fn compare(&mut self, programs: &[String]) -> Vec<Outcome> {
        for (index, program) in programs.iter().enumerate() {
            std::fs::write(self.program(index), program).expect("the temporary directory is writable");
        }
        let ours = self.ours(programs.len());
        let theirs = self.theirs(programs.len());
        ours.into_iter()
            .zip(theirs)
            .map(|sides| match sides {
                (_, Err(theirs)) if theirs == NO_ANSWER => Outcome::Unjudged,
                (Err(ours), _) if ours.starts_with("path '/nix/store/") => Outcome::Unjudged,
                (Ok(ours), Ok(theirs)) if ours == theirs => Outcome::Same,
                (Err(ours), Err(theirs)) => Outcome::BothFail { ours, theirs },
                (ours, theirs) => Outcome::Different { ours, theirs },
            })
            .collect()
    }

    /// The file of a program: positions in it are compared, too.
    fn program(&self, index: usize) -> PathBuf {
        self.store.path().join(format!("program-{index}.nix"))
    }

    fn theirs(&self, count: usize) -> Vec<Side> {
        let mut sides = self.failures(count);
        let good: Vec<usize> = (0..count).filter(|i| sides[*i].is_ok()).collect();
        let file = self.batch(&good);
        let mut command = judge("nix-instantiate").expect("looked for in the beginning");
        command.args(["--extra-experimental-features", "ca-derivations", "--eval", "--strict"]).arg(&file);
        let output = self.settle(&mut command).output().expect("the judge starts");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "the batch fails: {}", String::from_utf8_lossy(&output.stderr));
        for (index, value) in good.iter().zip(members(&printed, good.len())) {
            sides[*index] = Ok(value);
        }
        sides
    }

    /// A file with the list of these programs.
    fn batch(&self, programs: &[usize]) -> PathBuf {
        let file = self.store.path().join("batch.nix");
        let mut text = String::from("[\n");
        for index in programs {
            text.push_str(&format!("(import {}) \"#next\"\n", self.program(*index).display()));
        }
        text.push_str("]\n");
        std::fs::write(&file, text).expect("the temporary directory is writable");
        file
    }

    /// Everything that the programs could see is the same for both.
    fn settle<'c>(&self, command: &'c mut std::process::Command) -> &'c mut std::process::Command {
        command
            .arg("--store")
            .arg(self.store.path().join("store"))
            .env_remove("NIX_PATH")
            .env("NO_COLOR", "1")
            .env("HOME", self.store.path())
    }

    fn ours(&self, count: usize) -> Vec<Side> {
        let mut first = session();
        let directory = self.store.path().to_owned();
        let alone = |index| {
            let text = self.alone(index);
            let side = evaluate(&mut first, Source::Expression { text, directory: directory.clone() });
            // What one program took is not given back to the next.
            if side.as_ref().is_err_and(|message| message.starts_with("out of memory")) {
                first = session();
            }
            side
        };
        let mut sides: Vec<Side> = (0..count).map(alone).collect();
        let good: Vec<usize> = (0..count).filter(|i| sides[*i].is_ok()).collect();
        let file = self.batch(&good);
        let printed = evaluate(&mut session(), Source::File(file)).expect("each of them was fine");
        for (index, value) in good.iter().zip(members(&printed, good.len())) {
            sides[*index] = Ok(value);
        }
        sides
    }

    fn alone(&self, index: usize) -> String {
        format!("builtins.deepSeq (import {}) \"#fine\"", self.program(index).display())
    }

    /// Which programs fail, with the last line of the message. Where the judge
    /// ends at one of them, the others are given to another.
    fn failures(&self, count: usize) -> Vec<Side> {
        let mut sides = Vec::with_capacity(count);
        while sides.len() < count {
            let rest = sides.len()..count;
            let answered = self.answers(rest.clone());
            let complete = answered.len() == rest.len();
            sides.extend(answered);
            if !complete {
                sides.push(Err(NO_ANSWER.to_owned()));
            }
        }
        sides
    }

    /// What one process says, up to the program at which it ended.
    fn answers(&self, programs: Range<usize>) -> Vec<Side> {
        let mut command = judge("nix").expect("looked for in the beginning");
        command.args(["--extra-experimental-features", "nix-command ca-derivations", "repl"]);
        let log = self.store.path().join("repl.log");
        let log_file = std::fs::File::create(&log).expect("the temporary directory is writable");
        let mut child = self
            .settle(&mut command)
            .stdin(Stdio::piped())
            .stdout(log_file.try_clone().expect("a descriptor"))
            .stderr(log_file)
            .spawn()
            .expect("the judge starts");
        let mut lines = String::new();
        for (place, index) in programs.clone().enumerate() {
            lines.push_str(&format!(":p \"#begin {place}\"\n"));
            lines.push_str(&format!("{}\n", self.alone(index)));
        }
        lines.push_str(":p \"#end\"\n");
        // A judge that ends early does not read to the end, which is seen below.
        let _ = child.stdin.take().expect("piped").write_all(lines.as_bytes());
        end_within(&mut child, PATIENCE);
        let text = String::from_utf8_lossy(&std::fs::read(&log).expect("written above")).into_owned();
        let complete = text.contains("\n#end");
        assert!(text.contains("\n#begin 0"), "the judge does not answer: {}", tail(&text));
        let mut sides = Vec::with_capacity(programs.len());
        for part in text.split("\n#begin ").skip(1) {
            // The prompt echoes the program; what it printed follows.
            let printed: Vec<&str> =
                part.lines().skip(1).filter(|line| !line.starts_with("nix-repl>")).collect();
            sides.push(match printed.iter().rposition(|line| line.trim_start().starts_with("error:")) {
                Some(index) if !part.contains("\n\"#fine\"") && !part.contains("\n\u{1b}[35;1m\"#fine\"") => {
                    Err(message(&printed[index..]))
                }
                _ => Ok(String::new()),
            });
        }
        if !complete {
            sides.pop();
            return sides;
        }
        assert_eq!(sides.len(), programs.len(), "the judge answered otherwise: {}", tail(&text));
        sides
    }
}

/// Waits, and kills it when the time is up: some programs (regular expressions,
/// mostly) keep older judges busy for hours.
fn end_within(child: &mut Child, time: Duration) {
    let end = Instant::now() + time;
    while child.try_wait().expect("the judge can be waited for").is_none() {
        if Instant::now() > end {
            child.kill().expect("the judge is ours");
            child.wait().expect("the judge ends");
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Where a message begins on a line of its own, the next line has it.
fn message(lines: &[&str]) -> String {
    let first = lines[0].trim_start().trim_start_matches("error:").trim();
    let text = if first.is_empty() { lines.get(1).map_or("", |line| line.trim()) } else { first };
    text.to_owned()
}

fn tail(text: &str) -> &str {
    let start = text.len().saturating_sub(2_000);
    let start = (start..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    &text[start..]
}

fn members(printed: &str, count: usize) -> Vec<String> {
    let inner = printed.trim_start_matches("[ ");
    let parts: Vec<String> = inner.split(" \"#next\" ").take(count).map(str::to_owned).collect();
    assert_eq!(parts.len(), count, "the list prints otherwise: {printed}");
    parts
}

fn session() -> Session {
    let options = SessionOptions {
        message: Arc::new(|_| ()),
        memory_ceiling: Some(1 << 30),
        ..SessionOptions::default()
    };
    Session::new(options, Arc::new(Computing::default()))
}

fn evaluate(session: &mut Session, source: Source) -> Side {
    match session.eval(&source, "", &Arguments::new(), Output::Nix { strict: true }) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => Err(error.message.lines().next().unwrap_or_default().trim().to_owned()),
    }
}
