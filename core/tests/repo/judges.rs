//! What other people's programs make of a repository and its keys.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use osbuild_core::repo::rotate::rotate;
use osbuild_core::repo::signer::{Algorithm, PrivateKey};
use osbuild_store::cache::FileServer;
use osbuild_tuf::time::Time;

use crate::fixture::{Fixture, signers};
use crate::judge::{judge, machine_judge};
use crate::release::Made;
use crate::rotation::{new_key, rotation};

/// OpenSSL opens the keys that are encrypted here, and finds the same key.
#[test]
fn openssl_opens_the_keys() {
    if judge("openssl").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256] {
        let path = folder.path().join(format!("{algorithm:?}.pem"));
        let key = PrivateKey::generate(algorithm);
        key.write(&path, Some("open sesame")).unwrap();
        let read = |pass: &str| {
            let mut openssl = judge("openssl").expect("it was there");
            openssl.args(["pkey", "-in"]).arg(&path).args(["-passin", pass, "-pubout"]).output().unwrap()
        };
        let output = read("pass:open sesame");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let public = folder.path().join("public.pem");
        fs::write(&public, output.stdout).unwrap();
        assert_eq!(osbuild_core::repo::signer::read_public(&public).unwrap(), key.public_key());
        assert!(!read("pass:wrong").status.success());
    }
}

/// Serves a folder as long as it lives.
struct Served {
    address: String,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn new(fixture: &Fixture) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let (server, stopped) = (FileServer::new(&fixture.path().join("public")), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            server.run(listener, move || stopped.load(Ordering::Relaxed), |_| {}).unwrap();
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

pub(crate) fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    Time(since.as_secs())
}

/// What a client of others is asked: a target's bytes, or why there are none.
type Get<'a> = dyn Fn(&str) -> Result<String, String> + 'a;

pub(crate) fn answer(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(text) } else { Err(format!("{text}{errors}")) }
}

/// A client follows the repository through releases and a new root, and refuses
/// what was changed.
fn follows(fixture: &Fixture, get: &Get<'_>) {
    let catalogue = "stable.test.x86_64.catalogue.json";
    fixture.publish(&Made::new("1.0.0", 1), now()).unwrap();
    assert!(get(catalogue).unwrap().contains("1.0.0"));
    assert!(get("stable.test.x86_64.rollout.json").unwrap().contains("wave"), "of the delegated role");

    new_key(fixture, "new");
    let (repository, state) = fixture.open();
    rotate(&repository, &state, &rotation("root", &["new"], &["root-1"]), &signers(), now()).unwrap();
    drop(repository);
    new_key(fixture, "newer");
    let (repository, state) = fixture.open();
    rotate(&repository, &state, &rotation("rollout", &["newer"], &["rollout-1"]), &signers(), now()).unwrap();
    drop(repository);
    fixture.publish(&Made::new("1.1.0", 2), now()).unwrap();
    assert!(get(catalogue).unwrap().contains("1.1.0"));
    assert!(get("stable.test.x86_64.rollout.json").unwrap().contains("1.1.0"));

    let manifest = "test.x86_64.1.1.0.manifest.json";
    assert!(get(manifest).unwrap().contains("root_hash"));
    for entry in fs::read_dir(fixture.path().join("public/targets")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(manifest) {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace("1.1.0", "1.1.1")).unwrap();
        }
    }
    let error = get(manifest).unwrap_err().to_lowercase();
    assert!(error.contains("hash") || error.contains("sha256"), "{error}");
}

/// The reference client, over HTTP.
#[test]
fn python_tuf_follows_the_repository() {
    let Some(python) = machine_judge("python-with-tuf", "OSBUILD_PYTHON_TUF") else { return };
    for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256] {
        let fixture = Fixture::at(algorithm, None, now());
        let served = Served::new(&fixture);
        let root = fixture.path().join("public/metadata/1.root.json");
        let script = fixture.folder.path().join("client.py");
        fs::write(&script, include_str!("client.py")).unwrap();
        let (cache, downloads) =
            (fixture.folder.path().join("cache"), fixture.folder.path().join("downloads"));
        fs::create_dir(&cache).unwrap();
        follows(&fixture, &|name| {
            // What it downloaded before it would not ask for again.
            let _ = fs::remove_dir_all(&downloads);
            fs::create_dir(&downloads).unwrap();
            let mut command = Command::new(&python);
            answer(command.arg(&script).args([&root, &cache, &downloads]).args([&served.address, name]))
        });
    }
}

/// The clients in Rust.
#[test]
fn tough_and_sigstore_tuf_follow_the_repository() {
    let Some(peers) = machine_judge("tuf-peers", "OSBUILD_TUF_PEERS") else { return };
    for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256] {
        for client in ["tough", "sigstore-tuf"] {
            let fixture = Fixture::at(algorithm, None, now());
            let served = Served::new(&fixture);
            let root = fixture.path().join("public/metadata/1.root.json");
            let address = match client {
                "tough" => format!("file://{}", fixture.path().join("public").display()),
                _ => served.address.clone(),
            };
            follows(&fixture, &|name| {
                let mut command = Command::new(&peers);
                command.arg(client).arg(&root);
                answer(
                    command.args([format!("{address}/metadata/"), format!("{address}/targets/")]).arg(name),
                )
            });
        }
    }
}
