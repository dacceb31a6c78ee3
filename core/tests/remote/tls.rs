//! `grpcs://`: a cluster is who its certificate says, by the host's own roots.

use std::path::Path;
use std::process::Command;

use osbuild_core::remote::{Remote, RemoteConfig};

use crate::judge::{judge, passes};
use crate::server::{Abilities, Hash, Server};

/// Names the cluster to a process of its own, since roots are read once.
const ADDRESS: &str = "OSBUILD_TEST_CLUSTER";

/// A certificate of its own signing for 127.0.0.1, and its key.
fn certificate(place: &Path) -> Option<(String, String)> {
    let (certificate, key) = (place.join("certificate"), place.join("key"));
    let mut openssl = judge("openssl")?;
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
    ]);
    openssl.args(["-subj", "/CN=cluster", "-addext", "subjectAltName=IP:127.0.0.1", "-config", "/dev/null"]);
    openssl.args(["-out".as_ref(), certificate.as_os_str(), "-keyout".as_ref(), key.as_os_str()]);
    passes(&mut openssl);
    Some((std::fs::read_to_string(certificate).unwrap(), std::fs::read_to_string(key).unwrap()))
}

#[test]
fn a_cluster_is_believed_by_the_hosts_roots() {
    if let Ok(address) = std::env::var(ADDRESS) {
        return connect_as_told(address);
    }
    let place = tempfile::tempdir().unwrap();
    let Some((certificate, key)) = certificate(place.path()) else { return };
    let server = Server::start_with_tls(Abilities::of(Hash::Sha256), &certificate, &key);
    let connect = |roots: &Path| {
        let mut test = Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", "tls::a_cluster_is_believed_by_the_hosts_roots", "--nocapture"]);
        test.env(ADDRESS, server.config().address).env("SSL_CERT_FILE", roots).env_remove("SSL_CERT_DIR");
        let output = test.output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), text)
    };
    let (is_connected, text) = connect(&place.path().join("certificate"));
    assert!(is_connected, "{text}");

    let other = tempfile::tempdir().unwrap();
    self::certificate(other.path()).unwrap();
    let (is_connected, text) = connect(&other.path().join("certificate"));
    assert!(
        !is_connected && text.contains("cannot ask what it can do: ") && text.contains("certificate"),
        "{text}"
    );
}

/// What the process does that the test starts.
fn connect_as_told(address: String) {
    let home = tempfile::tempdir().unwrap();
    let config = RemoteConfig { address, ..RemoteConfig::default() };
    if let Err(error) = Remote::connect(&config, home.path(), &|| false) {
        panic!("{error}");
    }
}
