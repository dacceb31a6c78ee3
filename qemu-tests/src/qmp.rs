//! QEMU's machine protocol: what happens to a machine from outside.
//!
//! Source: QEMU Machine Protocol Reference Manual. QEMU connects; the test
//! listens.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// Where a machine is waited for that is about to start.
pub(crate) struct Socket {
    pub(crate) path: PathBuf,
    listener: UnixListener,
}

pub(crate) struct Qmp {
    reader: BufReader<UnixStream>,
    stream: UnixStream,
}

impl Socket {
    pub(crate) fn new(path: &Path) -> Result<Self, String> {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), listener })
    }

    pub(crate) fn accept(&self) -> Result<Qmp, String> {
        let (stream, _) = self.listener.accept().map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        let reader = BufReader::new(stream.try_clone().map_err(|error| error.to_string())?);
        let mut qmp = Qmp { reader, stream };
        let greeting = qmp.read()?;
        if greeting["QMP"].is_null() {
            return Err(format!("QEMU greets with {greeting}"));
        }
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }
}

impl Qmp {
    /// Plugs the network cable in, or pulls it.
    pub(crate) fn set_link(&mut self, is_up: bool) -> Result<(), String> {
        self.execute("set_link", json!({ "name": "net", "up": is_up })).map(drop)
    }

    fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, String> {
        let text = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream, "{text}").map_err(|error| error.to_string())?;
        loop {
            let answer = self.read()?;
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            // What happens in between comes as events.
            if answer.get("event").is_none() {
                return Err(format!("{command}: {answer}"));
            }
        }
    }

    fn read(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        self.reader.read_line(&mut line).map_err(|error| format!("QEMU says nothing: {error}"))?;
        serde_json::from_str(&line).map_err(|error| format!("QEMU says {line:?}: {error}"))
    }
}
