//! A conversation that goes on in fresh memory.
//!
//! What evaluation has taken is given back by the process's end and in no
//! other way (see `lang::heap`). So when memory is used up, the repl starts
//! itself anew in its place, and is told what to say again: the
//! lines that made variables, which are evaluated when they are next needed.

use std::ffi::OsString;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;

use rustix::fs::MemfdFlags;
use serde::{Deserialize, Serialize};

use crate::error::{Exit, Failure};

/// What one process tells the next.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Handover {
    /// Lines that make variables, in order.
    pub(super) lines: Vec<String>,
    /// Input that was read and not answered.
    pub(super) unanswered: Vec<u8>,
}

const FLAG: &str = "--resume";

impl Handover {
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read(file)?;
        serde_json::from_slice(&text).map_err(|error| {
            Failure::usage(&format!("{} is no conversation: {error}", file.display()), "leave out --resume")
        })
    }

    /// Starts anew. Returns only if that failed.
    pub(super) fn go_on(&self) -> Failure {
        let error = match self.written() {
            Ok(memory) => {
                let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
                if let Some(at) = words.iter().position(|word| word == FLAG) {
                    words.drain(at..(at + 2).min(words.len()));
                }
                let file = format!("/proc/self/fd/{}", memory.as_raw_fd());
                std::process::Command::new("/proc/self/exe").args(words).arg(FLAG).arg(file).exec()
            }
            Err(error) => error,
        };
        Failure::new(Exit::Failed, &format!("cannot go on in fresh memory: {error}"))
            .with_hint("leave with :q and start anew")
    }

    /// In memory that the next process inherits and that goes with it.
    fn written(&self) -> std::io::Result<std::fs::File> {
        let mut memory = std::fs::File::from(rustix::fs::memfd_create("repl", MemfdFlags::empty())?);
        memory.write_all(&serde_json::to_vec(self)?)?;
        memory.rewind()?;
        Ok(memory)
    }
}
