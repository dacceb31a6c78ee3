//! BuildBox's casd on a free port.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use osbuild_core::remote::RemoteConfig;

use crate::judge::machine_judge;

/// Ends when dropped.
pub(crate) struct Casd {
    child: Child,
    pub(crate) port: u16,
    directory: tempfile::TempDir,
}

/// Nobody, as far as files and user namespaces go: an action that root's
/// server runs may not mount a fresh /proc.
const NOBODY: u32 = 65534;

impl Casd {
    /// `None` where the judge may be absent.
    pub(crate) fn start() -> Option<Self> {
        let program = machine_judge("buildbox-casd", "OSBUILD_CASD")?;
        let sandbox = machine_judge("bwrap", "OSBUILD_BWRAP")?;
        let runner = program.with_file_name("buildbox-run");
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("cache");
        std::fs::create_dir(&cache).unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command
            .arg(format!("--bind=127.0.0.1:{port}"))
            .arg(format!("--buildbox-run={}", runner.display()))
            .args(["--jobs=2", "--cache-failures=false"])
            // The builder of these tests is linked against the host's libraries.
            .args(["/usr", "/lib", "/lib64"].map(|path| format!("--runner-arg=--bind-mount={path}:{path}")))
            .arg(&cache)
            // It looks through all of it, and may read none of another user's.
            .env("PATH", format!("{}:/usr/bin:/bin", sandbox.parent().unwrap().display()))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&cache, Some(NOBODY), Some(NOBODY)).unwrap();
            command.uid(NOBODY).gid(NOBODY);
        }
        let child = command.spawn().unwrap();
        let casd = Self { child, port, directory };
        let end = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "{}", casd.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(casd)
    }

    pub(crate) fn config(&self) -> RemoteConfig {
        // Not root inside, so that actions may make user namespaces.
        let properties = ["unixUID", "unixGID"].map(|name| (name.to_owned(), "1000".to_owned()));
        RemoteConfig {
            address: format!("grpc://127.0.0.1:{}", self.port),
            properties: properties.into(),
            headers: BTreeMap::new(),
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Casd {
    fn drop(&mut self) {
        // Asked, it ends its actions; killed, it would leave them.
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::TERM,
        );
        let end = Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// The builder, compiled like this test.
pub(crate) fn builder() -> PathBuf {
    static BUILDER: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let build = || {
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--quiet", "--locked", "--package", "osbuild-builder"]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        crate::judge::passes(&mut command);
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join("osbuild-builder")
    };
    BUILDER.get_or_init(build).clone()
}
