//! A repository of releases that nodes under test follow, and who serves it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::context::Context;

/// Where the repository begins: with throw-away keys, of which the images know
/// the root.
const BEGINNING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fleet");
/// The host, as a node sees it.
const HOST: &str = "10.0.2.2";

/// A copy of it, served on the loopback as long as this lives.
pub(crate) struct Fleet<'c> {
    context: &'c Context,
    pub(crate) repository: PathBuf,
    server: Server,
}

/// `osbuild repo serve`, as long as this lives.
pub(crate) struct Server {
    process: Child,
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl<'c> Fleet<'c> {
    pub(crate) fn serve(context: &'c Context, name: &str) -> Result<Self, String> {
        let folder = context.scratch(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut copy = std::process::Command::new("cp");
        context.run(
            copy.args(["-r", &format!("{BEGINNING}/repository"), &format!("{BEGINNING}/keys")]).arg(&folder),
        )?;
        let repository = folder.join("repository");
        std::fs::create_dir_all(repository.join("public/targets")).map_err(|error| error.to_string())?;
        // All but the root ended long ago.
        let mut refresh = context.osbuild();
        refresh.args(["repo", "refresh"]).arg(&repository);
        for role in ["targets", "snapshot", "rollout"] {
            refresh.args(["--role", role]);
        }
        context.run(&mut refresh)?;
        let server = Server::start(context, &repository)?;
        Ok(Self { context, repository, server })
    }

    /// For user data: the node asks here first.
    pub(crate) fn settings(&self, more: &str) -> String {
        format!("[updates]\nmirrors = [\"{}\"]\n{more}", self.address())
    }

    pub(crate) fn address(&self) -> String {
        self.server.address()
    }

    /// Who serves the same repository, but zeros for what is called so at its end.
    pub(crate) fn spoiled_mirror(&self, ending: &str) -> Result<Server, String> {
        let folder = self.context.scratch("mirror");
        let _ = std::fs::remove_dir_all(&folder);
        let mut copy = std::process::Command::new("cp");
        self.context.run(copy.arg("-rl").arg(&self.repository).arg(&folder))?;
        for file in called(&folder, ending)? {
            let size = file.metadata().map_err(|error| error.to_string())?.len();
            std::fs::remove_file(&file).map_err(|error| error.to_string())?;
            let zeros = std::fs::File::create(&file).and_then(|file| file.set_len(size));
            zeros.map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Server::start(self.context, &folder)
    }

    /// Publishes what building a variant gave, to everybody at once.
    pub(crate) fn publish(&self, image: &Path, more: &[&str]) -> Result<(), String> {
        let mut publish = self.context.osbuild();
        publish.args(["repo", "publish"]).arg(&self.repository).arg(image);
        publish.args(["--wave", "now", "--untested", "this is its test"]).args(more);
        self.context.run(&mut publish).map(|_| ())
    }

    /// `osbuild repo WORDS…`, with the repository after the verb.
    pub(crate) fn repo(&self, verb: &[&str], more: &[&str]) -> Result<String, String> {
        let mut command = self.context.osbuild();
        command.arg("repo").args(verb).arg(&self.repository).args(more);
        self.context.run(&mut command)
    }

    /// The server loses the bytes of what is called so at its end.
    pub(crate) fn lose(&self, ending: &str) -> Result<(), String> {
        called(&self.repository, ending)?
            .iter()
            .try_for_each(std::fs::remove_file)
            .map_err(|error| error.to_string())
    }

    /// What was asked for since this was asked last.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.server.requests()
    }
}

/// Targets whose names end so.
fn called(repository: &Path, ending: &str) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(repository.join("public/targets")).map_err(|error| error.to_string())?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let called: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    if called.is_empty() {
        return Err(format!("nothing is called …{ending}"));
    }
    Ok(called)
}

impl Server {
    fn start(context: &Context, repository: &Path) -> Result<Self, String> {
        let mut serve = context.osbuild();
        serve.args(["repo", "serve", "--listen", "127.0.0.1:0"]).arg(repository);
        let mut process =
            serve.stderr(Stdio::piped()).spawn().map_err(|error| format!("repo serve: {error}"))?;
        let mut lines = BufReader::new(process.stderr.take().expect("it was asked for")).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        let port = first.rsplit(':').next().and_then(|port| port.trim().parse().ok());
        let port = port.ok_or_else(|| format!("repo serve does not say where it is: {first}"))?;
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Ok(Self { process, port, requests })
    }

    /// As a node sees it.
    pub(crate) fn address(&self) -> String {
        format!("http://{HOST}:{}/", self.port)
    }

    /// What was asked for since this was asked last.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
