//! `osbuild store serve`: the store as a cache for others.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use osbuild_core::build::sandbox::catch_interrupts;
use osbuild_store::cache::StoreServer;

use super::key;
use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};

/// Serve the store to others, as a binary cache, until interrupted
///
/// Whoever can reach the address can read every object. Without a key, others
/// only believe what is named by its contents, and no results of builds.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen; 0.0.0.0 or [::] is everywhere
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5380")]
    listen: SocketAddr,
    /// A file with a secret key to sign with; several sign several times
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Which cache is asked first: lower is earlier
    #[arg(long, value_name = "N", default_value_t = 30)]
    priority: u32,
}

pub(super) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let store = config::open_store()?;
    let keys = arguments.key.iter().map(|file| key::read(file)).collect::<Result<_, _>>()?;
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Failed, &format!("cannot listen at {}: {error}", arguments.listen))
    };
    let listener = TcpListener::bind(arguments.listen).map_err(failed)?;
    let quiet = common.quiet;
    if !quiet {
        eprintln!("serving {} at http://{}", store.home().display(), listener.local_addr().map_err(failed)?);
    }
    let interrupted = catch_interrupts();
    let log = move |line: &str| {
        if !quiet {
            eprintln!("{line}");
        }
    };
    StoreServer::new(store, keys, arguments.priority)
        .run(listener, || interrupted.load(Ordering::Relaxed), log)
        .map_err(failed)
}
