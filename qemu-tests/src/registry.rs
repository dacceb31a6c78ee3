//! A container registry on this host, with a certificate of an authority that
//! no image knows.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::control_plane::HOST;
use crate::pki::Pki;

const PORT: u16 = 5443;
const NAME: &str = "registry";
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Registry {
    running: Child,
    /// The authority's certificate, PEM.
    pub(crate) authority: String,
    /// What it has, as a guest asks for it.
    pub(crate) image: String,
}

impl Registry {
    /// Serves an OCI image, which somebody else's program pushes there.
    pub(crate) fn serve(context: &Context, archive: &Path) -> Result<Self, String> {
        let directory = context.scratch(NAME);
        let pki = Pki::new(&directory.join("pki"), NAME)?;
        pki.issue(NAME, None, &["127.0.0.1", &HOST.to_string()])?;
        let written = |path: &Path, text: &str| {
            fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        let configuration = directory.join("config.yml");
        let text = format!(
            "version: 0.1\n\
             storage: {{ filesystem: {{ rootdirectory: {data} }} }}\n\
             http:\n  addr: 127.0.0.1:{PORT}\n  tls: {{ certificate: {}, key: {} }}\n",
            pki.file("registry.crt"),
            pki.file("registry.key"),
            data = directory.join("data").display(),
        );
        written(&configuration, &text)?;
        let log_path = directory.join("log");
        let log = File::create(&log_path).map_err(|error| format!("{}: {error}", log_path.display()))?;
        let running = context
            .judge("docker-registry")?
            .arg("serve")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot run docker-registry: {error}"))?;
        let registry = Self {
            running,
            authority: pki.certificate.clone(),
            image: format!("{HOST}:{PORT}/test/pulled:1"),
        };
        let since = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).is_err() {
            if since.elapsed() > PATIENCE {
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                return Err(format!("the registry does not answer\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        // Which authorities count, a directory of its own says.
        let trusted = directory.join("trusted");
        fs::create_dir_all(&trusted).map_err(|error| format!("{}: {error}", trusted.display()))?;
        written(&trusted.join("ca.crt"), &pki.certificate)?;
        let mut push = context.judge("skopeo")?;
        push.arg("--insecure-policy").arg("--tmpdir").arg(&directory).arg("copy").arg("--dest-cert-dir");
        push.arg(&trusted).arg(format!("oci-archive:{}", archive.display()));
        push.arg(format!("docker://127.0.0.1:{PORT}/test/pulled:1"));
        context.run(&mut push)?;
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}
