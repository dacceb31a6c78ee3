//! A real control plane on this host: etcd, API server, controller manager and
//! scheduler out of the store, each with certificates of one authority.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::machine::slowness;
use crate::node::expect_in_time;
use crate::pki::Pki;

/// This host, as guests see it through QEMU's address translation.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
pub(crate) const PORT: u16 = 6443;
pub(crate) const TOKEN: &str = "abcdef.0123456789abcdef";
/// For the API to answer, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct ControlPlane {
    programs: PathBuf,
    directory: PathBuf,
    pub(crate) pki: Pki,
    running: Vec<Child>,
}

impl ControlPlane {
    /// Starts it and lets nodes join: with [`TOKEN`] they may ask for a
    /// certificate, which is given to whoever asks for a node's own.
    pub(crate) fn start(programs: &Path, directory: &Path) -> Result<Self, String> {
        let pki = Pki::new(&directory.join("pki"), "cluster")?;
        let hosts = ["127.0.0.1", &HOST.to_string(), "10.96.0.1", "kubernetes.default.svc"];
        pki.issue("etcd", None, &["127.0.0.1"])?;
        pki.issue("kube-apiserver", None, &hosts)?;
        for (name, group) in [
            // Signs tokens of service accounts.
            ("accounts", None),
            ("admin", Some("system:masters")),
            ("system:kube-controller-manager", None),
            ("system:kube-scheduler", None),
        ] {
            pki.issue(name, group, &[])?;
        }
        let mut plane = Self {
            programs: programs.join("usr/bin"),
            directory: directory.to_owned(),
            pki,
            running: Vec::new(),
        };
        plane.run_all()?;
        plane.wait()?;
        plane.let_nodes_join()?;
        Ok(plane)
    }

    fn run_all(&mut self) -> Result<(), String> {
        let file = |name: &str| self.pki.file(name);
        let data = self.directory.join("etcd-data").display().to_string();
        let etcd = format!(
            "--data-dir={data} --unsafe-no-fsync \
             --listen-client-url=https://127.0.0.1:2379 --listen-peer-url=http://127.0.0.1:2380 \
             --cert-file={} --key-file={} --trusted-ca-file={} --client-cert-auth",
            file("etcd.crt"),
            file("etcd.key"),
            file("ca.crt"),
        );
        let own = |name: &str| format!("--cert-dir={}", self.directory.join(name).display());
        let apiserver = format!(
            "--bind-address=127.0.0.1 --secure-port={PORT} --advertise-address={HOST} {} \
             --etcd-servers=https://127.0.0.1:2379 --etcd-cafile={ca} --etcd-certfile={admin}.crt --etcd-keyfile={admin}.key \
             --tls-cert-file={server}.crt --tls-private-key-file={server}.key --client-ca-file={ca} \
             --kubelet-client-certificate={admin}.crt --kubelet-client-key={admin}.key \
             --kubelet-preferred-address-types=InternalIP \
             --authorization-mode=Node,RBAC --allow-privileged --enable-admission-plugins=NodeRestriction --enable-bootstrap-token-auth \
             --service-account-issuer=https://kubernetes.default.svc --service-account-key-file={accounts}.crt \
             --service-account-signing-key-file={accounts}.key --service-cluster-ip-range=10.96.0.0/16",
            own("apiserver"),
            ca = file("ca.crt"),
            admin = file("admin"),
            server = file("kube-apiserver"),
            accounts = file("accounts"),
        );
        let manager = format!(
            "--bind-address=127.0.0.1 --port=0 --leader-elect=false {} --kubeconfig={} --use-service-account-credentials \
             --cluster-signing-cert-file={ca} --cluster-signing-key-file={} --root-ca-file={ca} \
             --service-account-private-key-file={}",
            own("manager"),
            self.kubeconfig("system:kube-controller-manager")?,
            file("ca.key"),
            file("accounts.key"),
            ca = file("ca.crt"),
        );
        let scheduler = format!(
            "--bind-address=127.0.0.1 --port=0 --leader-elect=false {} --kubeconfig={}",
            own("scheduler"),
            self.kubeconfig("system:kube-scheduler")?,
        );
        for (program, flags) in [
            ("etcd", etcd),
            ("kube-apiserver", apiserver),
            ("kube-controller-manager", manager),
            ("kube-scheduler", scheduler),
        ] {
            let log = self.directory.join(format!("{program}.log"));
            let log = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
            let errors = log.try_clone().map_err(|error| error.to_string())?;
            let child = Command::new(self.programs.join(program))
                .args(flags.split_whitespace())
                .stdin(Stdio::null())
                .stdout(log)
                .stderr(errors)
                .spawn()
                .map_err(|error| format!("cannot run {program}: {error}"))?;
            self.running.push(child);
        }
        Ok(())
    }

    /// A file by which a client of this name reaches the API.
    fn kubeconfig(&self, user: &str) -> Result<String, String> {
        let path = self.directory.join(format!("{user}.kubeconfig"));
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "cluster", "cluster": {
                "server": format!("https://127.0.0.1:{PORT}"), "certificate-authority": self.pki.file("ca.crt"),
            } }],
            "users": [{ "name": "user", "user": {
                "client-certificate": self.pki.file(&format!("{user}.crt")),
                "client-key": self.pki.file(&format!("{user}.key")),
            } }],
            "contexts": [{ "name": "all", "context": { "cluster": "cluster", "user": "user" } }],
            "current-context": "all",
        });
        fs::write(&path, text.to_string()).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path.display().to_string())
    }

    fn wait(&mut self) -> Result<(), String> {
        let since = Instant::now();
        loop {
            let said = self.kubectl(&["get", "--raw", "/readyz"]);
            match said {
                Ok(said) if said == "ok" => return Ok(()),
                said if since.elapsed() > PATIENCE.mul_f64(slowness()) => {
                    return Err(format!("the API server is not ready: {said:?}\n{}", self.logs()));
                }
                _ => {}
            }
            for child in &mut self.running {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(format!("a part of the control plane ended with {status}\n{}", self.logs()));
                }
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// As Kubernetes' documentation has it ("TLS bootstrapping").
    fn let_nodes_join(&self) -> Result<(), String> {
        let (id, secret) = TOKEN.split_once('.').expect("a token has two parts");
        let bind = |name: &str, role: &str, group: &str| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": { "name": name },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
                "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group }],
            })
        };
        let requests = "system:certificates.k8s.io:certificatesigningrequests";
        self.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": { "name": format!("bootstrap-token-{id}"), "namespace": "kube-system" },
                "type": "bootstrap.kubernetes.io/token",
                "stringData": {
                    "token-id": id,
                    "token-secret": secret,
                    "usage-bootstrap-authentication": "true",
                    "auth-extra-groups": "system:bootstrappers:nodes",
                },
            },
            bind("nodes-ask", "system:node-bootstrapper", "system:bootstrappers:nodes"),
            bind("nodes-are-let-in", &format!("{requests}:nodeclient"), "system:bootstrappers:nodes"),
            bind("nodes-stay", &format!("{requests}:selfnodeclient"), "system:nodes"),
        ] }))
    }

    pub(crate) fn apply(&self, object: &Value) -> Result<(), String> {
        let path = self.directory.join("object.json");
        fs::write(&path, object.to_string()).map_err(|error| format!("{}: {error}", path.display()))?;
        self.kubectl(&["apply", "-f", &path.display().to_string()]).map(drop)
    }

    /// Waits until a node is there and takes pods.
    pub(crate) fn is_ready(&self, node: &str) -> Result<(), String> {
        expect_in_time("a node", || Ok(self.kubectl(&["get", "node", node]).is_ok()))?;
        self.kubectl(&["wait", "--for=condition=Ready", &format!("node/{node}"), "--timeout=180s"]).map(drop)
    }

    /// What `kubectl` says as the cluster's administrator.
    pub(crate) fn kubectl(&self, words: &[&str]) -> Result<String, String> {
        let kubeconfig = self.kubeconfig("admin")?;
        let output = Command::new(self.programs.join("kubectl"))
            .args(["--kubeconfig", &kubeconfig, "--cache-dir"])
            .arg(self.directory.join("kubectl"))
            .args(words)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot run kubectl: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("kubectl {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// The ends of all logs.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for program in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let log = fs::read_to_string(self.directory.join(format!("{program}.log"))).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            text.push_str(&format!("--- {program} ---\n"));
            text.push_str(&lines[lines.len().saturating_sub(12)..].join("\n"));
            text.push('\n');
        }
        text
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        for child in self.running.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
