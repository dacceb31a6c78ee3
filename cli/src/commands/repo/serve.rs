//! `osbuild repo serve`: a web server for a repository.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use osbuild_core::build::sandbox::catch_interrupts;
use osbuild_core::repo::follower::public_files;
use osbuild_store::cache::FileServer;

use crate::config::CommonArguments;
use crate::error::{Exit, Failure};

/// Serve a repository's public files, until interrupted
///
/// For trying out and for small fleets: any static web server does the same.
/// Nodes believe nothing that is not signed, whoever serves it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A repository, or a copy of its public/ folder
    #[arg(value_name = "DIR")]
    repository: PathBuf,
    /// Where to listen; 0.0.0.0 or [::] is everywhere
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5381")]
    listen: SocketAddr,
}

pub(super) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let root = public_files(&arguments.repository);
    if !root.join("metadata").is_dir() {
        let message = format!("{} is no repository: it holds no metadata", arguments.repository.display());
        return Err(Failure::usage(&message, "give the directory that `osbuild repo init` or `import` made"));
    }
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Failed, &format!("cannot listen at {}: {error}", arguments.listen))
    };
    let listener = TcpListener::bind(arguments.listen).map_err(failed)?;
    let quiet = common.quiet;
    if !quiet {
        eprintln!("serving {} at http://{}", root.display(), listener.local_addr().map_err(failed)?);
    }
    let interrupted = catch_interrupts();
    let log = move |line: &str| {
        if !quiet {
            eprintln!("{line}");
        }
    };
    FileServer::new(&root).run(listener, || interrupted.load(Ordering::Relaxed), log).map_err(failed)
}
