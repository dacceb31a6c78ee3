//! A control plane on the loopback, as whoever runs the test.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// Of the administrator, who is in `system:masters`.
const ADMIN: &str = "admin-of-the-test";
/// For the API to answer, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests");

pub struct Plane {
    programs: PathBuf,
    pub directory: PathBuf,
    pub url: String,
    authority: PathBuf,
    pub admin: Client,
    _running: Vec<Child>,
}

impl Plane {
    pub async fn start(programs: &Path, directory: &Path) -> Result<Self, String> {
        let programs = programs.join("usr/bin");
        if !programs.join("kube-apiserver").is_file() {
            return Err(format!("{}: there is no kube-apiserver", programs.display()));
        }
        let (authority, accounts) = certificates(directory)?;
        fs::write(directory.join("tokens.csv"), format!("{ADMIN},admin,1,system:masters\n")).map_err(text)?;
        let ports = free_ports();
        let (etcd, peer, api) = (ports[0], ports[1], ports[2]);
        let place = directory.display();
        let etcd_flags = format!(
            "--data-dir={place}/etcd --unsafe-no-fsync --listen-client-url=http://127.0.0.1:{etcd} \
             --listen-peer-url=http://127.0.0.1:{peer}"
        );
        // Pods of the test belong to no service account.
        let api_flags = format!(
            "--bind-address=127.0.0.1 --advertise-address=127.0.0.1 --secure-port={api} --cert-dir={place}/api \
             --etcd-servers=http://127.0.0.1:{etcd} --tls-cert-file={place}/api.crt --tls-private-key-file={place}/api.key \
             --token-auth-file={place}/tokens.csv --authorization-mode=RBAC --disable-admission-plugins=ServiceAccount \
             --service-account-issuer=https://kubernetes.default.svc --service-account-key-file={accounts}.pub \
             --service-account-signing-key-file={accounts} --service-cluster-ip-range=10.96.0.0/16"
        );
        let mut running = vec![spawn(&programs, directory, "etcd", &etcd_flags)?];
        running.push(spawn(&programs, directory, "kube-apiserver", &api_flags)?);
        let url = format!("https://127.0.0.1:{api}");
        let admin = client(&kubeconfig(&url, Some(&authority), ADMIN)).await?;
        let mut plane =
            Self { programs, directory: directory.to_owned(), url, authority, admin, _running: running };
        plane.wait().await?;
        let manager = plane.write_kubeconfig("admin", &plane.url, ADMIN)?;
        let manager_flags = format!(
            "--bind-address=127.0.0.1 --port=0 --secure-port=0 --leader-elect=false --kubeconfig={} --controllers=disruption",
            manager.display()
        );
        plane._running.push(spawn(&plane.programs, directory, "kube-controller-manager", &manager_flags)?);
        for file in ["crds.yaml", "operator.yaml"] {
            plane.kubectl(&["apply", "-f", &format!("{MANIFESTS}/{file}")]).await?;
        }
        plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await?;
        plane.kubectl(&["apply", "-f", &format!("{MANIFESTS}/policy.yaml")]).await?;
        Ok(plane)
    }

    async fn wait(&mut self) -> Result<(), String> {
        let since = Instant::now();
        loop {
            let ready = http::Request::get("/readyz").body(Vec::new()).expect("it is a valid request");
            match self.admin.request_text(ready).await {
                Ok(said) if said == "ok" => return Ok(()),
                said if since.elapsed() > PATIENCE => {
                    return Err(format!("the API server is not ready: {said:?}\n{}", self.logs()));
                }
                _ => tokio::time::sleep(Duration::from_millis(300)).await,
            }
            for child in &mut self._running {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(format!("a part of the control plane ended with {status}\n{}", self.logs()));
                }
            }
        }
    }

    /// Of one of the operator's two accounts, as the cluster gives it to a pod.
    pub async fn token(&self, account: &str) -> Result<String, String> {
        let path = format!("/api/v1/namespaces/osbuild-operator/serviceaccounts/{account}/token");
        let body = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "audiences": [] } });
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes())
            .map_err(text)?;
        let answer: Value = self.admin.request(request).await.map_err(text)?;
        answer["status"]["token"].as_str().map(str::to_owned).ok_or_else(|| format!("no token: {answer}"))
    }

    /// A file by which whoever has this token reaches the API, here or by way of
    /// somebody.
    pub fn write_kubeconfig(&self, name: &str, url: &str, token: &str) -> Result<PathBuf, String> {
        let path = self.directory.join(format!("{name}.kubeconfig"));
        let authority = url.starts_with("https").then_some(self.authority.as_path());
        fs::write(&path, kubeconfig(url, authority, token).to_string()).map_err(text)?;
        Ok(path)
    }

    /// One that adds nothing to who asks.
    pub async fn anonymous(&self) -> Result<Client, String> {
        let mut config = kubeconfig(&self.url, Some(&self.authority), "");
        config["users"][0]["user"] = json!({});
        client(&config).await
    }

    pub async fn kubectl(&self, words: &[&str]) -> Result<String, String> {
        let kubeconfig = self.write_kubeconfig("kubectl", &self.url, ADMIN)?;
        let output = Command::new(self.programs.join("kubectl"))
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--cache-dir")
            .arg(self.directory.join("kubectl"))
            .args(words)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(text)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("kubectl {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// The ends of all logs.
    pub fn logs(&self) -> String {
        let mut told = String::new();
        for program in ["etcd", "kube-apiserver", "kube-controller-manager"] {
            let log = fs::read_to_string(self.directory.join(format!("{program}.log"))).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            told.push_str(&format!(
                "--- {program} ---\n{}\n",
                lines[lines.len().saturating_sub(8)..].join("\n")
            ));
        }
        told
    }
}

fn spawn(programs: &Path, directory: &Path, program: &str, flags: &str) -> Result<Child, String> {
    let log = File::create(directory.join(format!("{program}.log"))).map_err(text)?;
    let errors = log.try_clone().map_err(text)?;
    Command::new(programs.join(program))
        .args(flags.split_whitespace())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))
}

/// Files with the authority's certificate and with the key that signs tokens.
fn certificates(directory: &Path) -> Result<(PathBuf, String), String> {
    let key = KeyPair::generate().map_err(text)?;
    let mut parameters = CertificateParams::new(Vec::<String>::new()).map_err(text)?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = parameters.self_signed(&key).map_err(text)?.pem();
    let issuer = Issuer::new(parameters, key);
    let key = KeyPair::generate().map_err(text)?;
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).map_err(text)?;
    let server = server.signed_by(&key, &issuer).map_err(text)?.pem();
    let accounts = KeyPair::generate().map_err(text)?;
    for (name, contents) in [
        ("ca.crt", authority),
        ("api.crt", server),
        ("api.key", key.serialize_pem()),
        ("accounts", accounts.serialize_pem()),
        ("accounts.pub", accounts.public_key_pem()),
    ] {
        fs::write(directory.join(name), contents).map_err(text)?;
    }
    Ok((directory.join("ca.crt"), directory.join("accounts").display().to_string()))
}

fn kubeconfig(url: &str, authority: Option<&Path>, token: &str) -> Value {
    let mut cluster = json!({ "server": url });
    if let Some(authority) = authority {
        cluster["certificate-authority"] = json!(authority);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "cluster", "cluster": cluster }],
        "users": [{ "name": "user", "user": { "token": token } }],
        "contexts": [{ "name": "all", "context": { "cluster": "cluster", "user": "user" } }],
        "current-context": "all",
    })
}

async fn client(kubeconfig: &Value) -> Result<Client, String> {
    let parsed: Kubeconfig = serde_json::from_value(kubeconfig.clone()).map_err(text)?;
    let config =
        kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default()).await.map_err(text)?;
    Client::try_from(config).map_err(text)
}

/// Ports that nobody has now.
fn free_ports() -> Vec<u16> {
    let listeners: Vec<TcpListener> =
        (0..3).map(|_| TcpListener::bind("127.0.0.1:0").expect("the loopback has a port")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("it is bound").port()).collect()
}

pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
