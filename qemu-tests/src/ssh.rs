//! SSH, as a person with a key uses it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::context::{Context, program_of};
use crate::machine::slowness;
use crate::scenarios::nonce;

/// For a container to be imported and started under emulation.
const PATIENCE: Duration = Duration::from_secs(300);

/// An SSH client with a key of its own: that of the container's root.
pub(crate) struct Client {
    root: PathBuf,
    key: PathBuf,
    pub(crate) public_key: String,
}

impl Client {
    pub(crate) fn new(context: &Context) -> Result<Self, String> {
        let root = context.build("pkgs.admin-image.root")?;
        let key = context.scratch(&format!("key-{}", nonce()));
        let client = Self { root, key: key.clone(), public_key: String::new() };
        let mut keygen = program_of(&client.root, "ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"]).arg(&key);
        context.run(&mut keygen)?;
        let text = std::fs::read_to_string(key.with_extension("pub")).map_err(|error| error.to_string())?;
        Ok(Self { public_key: text.trim().to_owned(), ..client })
    }

    /// Waits until somebody answers who knows the key.
    pub(crate) fn wait(&self, port: u16) -> Result<(), String> {
        let since = Instant::now();
        loop {
            let (status, said) = self.run(port, "true")?;
            // hostctl has no such command, and a shell has.
            if status != 255 {
                return Ok(());
            }
            if since.elapsed() > PATIENCE.mul_f64(slowness()) {
                return Err(format!("nobody answers at port {port}: {said}"));
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    pub(crate) fn says(&self, port: u16, command: &str, status: i32, expected: &str) -> Result<(), String> {
        let (found, said) = self.run(port, command)?;
        if found == status && said.contains(expected) {
            return Ok(());
        }
        Err(format!(
            "`{command}` at port {port} ended with {found} and said {said:?}, expected {status} and {expected:?}"
        ))
    }

    /// What it writes to its output, which may be no text.
    pub(crate) fn output(&self, port: u16, command: &str) -> Result<Vec<u8>, String> {
        self.with_input(port, command, Stdio::null())
    }

    /// Gives it a file to read.
    pub(crate) fn feed(&self, port: u16, command: &str, file: &Path) -> Result<(), String> {
        let input = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
        self.with_input(port, command, input.into()).map(drop)
    }

    fn with_input(&self, port: u16, command: &str, input: Stdio) -> Result<Vec<u8>, String> {
        let output = self.ssh(port, command).stdin(input).output();
        let output = output.map_err(|error| format!("cannot run ssh: {error}"))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("`{command}` at port {port} ended with {} and said {said:?}", output.status))
    }

    /// Its exit status, and all that it says.
    pub(crate) fn run(&self, port: u16, command: &str) -> Result<(i32, String), String> {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            return Ok((255, "no connection".to_owned()));
        }
        let output = self.ssh(port, command).output().map_err(|error| format!("cannot run ssh: {error}"))?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned()))
    }

    /// Hands on each line as soon as it is said.
    pub(crate) fn lines(&self, port: u16, command: &str, mut each: impl FnMut(&str)) -> Result<(), String> {
        let mut ssh = self.ssh(port, command);
        let mut child =
            ssh.stdout(Stdio::piped()).spawn().map_err(|error| format!("cannot run ssh: {error}"))?;
        let stdout = child.stdout.take().expect("it is piped");
        for line in BufReader::new(stdout).lines() {
            each(&line.map_err(|error| error.to_string())?);
        }
        match child.wait() {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("`{command}` at port {port} ended with {other:?}")),
        }
    }

    fn ssh(&self, port: u16, command: &str) -> Command {
        let mut ssh = program_of(&self.root, "ssh");
        ssh.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60"]);
        ssh.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(&self.key);
        ssh.args(["-p", &port.to_string(), "root@127.0.0.1", command]);
        ssh
    }
}
