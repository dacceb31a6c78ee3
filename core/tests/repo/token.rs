//! A token that is made of files: SoftHSM, by its library.
//!
//! Its configuration is a variable of the process, so everything is in one test.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use osbuild_core::repo::init::add_key;
use osbuild_core::repo::rotate::rotate;
use osbuild_core::repo::signer::{Location, Passphrases, Signer};

use crate::fixture::{Fixture, START, signers};
use crate::judge::{machine_judge, passes};
use crate::release::Made;
use crate::rotation::rotation;

const PIN: &str = "open sesame";
/// Of the curves Ed25519 and P-256, in DER.
const ED25519: &[u8] = &[0x13, 0x0c, b'e', b'd', b'w', b'a', b'r', b'd', b's', b'2', b'5', b'5', b'1', b'9'];
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

struct WrongPin;

impl Passphrases for WrongPin {
    fn passphrase(&self, _: &str) -> Option<String> {
        Some("1234".to_owned())
    }
}

/// Run again as a process of its own, whose environment it is.
#[test]
fn a_token_signs_for_roles() {
    let Some(tool) = machine_judge("softhsm2-util", "OSBUILD_SOFTHSM2_UTIL") else { return };
    if std::env::var_os("SOFTHSM2_CONF").is_some() {
        return with_tokens();
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
    let mut make = Command::new(tool);
    make.env("SOFTHSM2_CONF", &configuration);
    passes(make.args(["--init-token", "--free", "--label", "fleet", "--so-pin", "0000", "--pin", PIN]));
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.env("SOFTHSM2_CONF", &configuration);
    let output = passes(again.args(["--exact", "token::a_token_signs_for_roles", "--nocapture"]));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("signed by a token"),
        "the inner run did nothing"
    );
}

fn library() -> PathBuf {
    std::env::var_os("OSBUILD_SOFTHSM2")
        .map_or_else(|| PathBuf::from("/usr/lib/softhsm/libsofthsm2.so"), PathBuf::from)
}

fn with_tokens() {
    make_keys();
    for (object, role) in [("edwards", "timestamp"), ("p256", "snapshot")] {
        let uri = format!("pkcs11:token=fleet;object={object}?module-path={}", library().display());
        let open = |uri: &str, passphrases: &dyn Passphrases| {
            Signer::open(&Location::parse(uri), "card", std::path::Path::new("."), passphrases)
        };
        let error = |uri: &str| open(uri, &WrongPin).err().unwrap().to_string();
        assert!(error(&uri).contains("cannot log in"));
        assert!(error(&uri.replace("fleet", "other")).contains("no such token"));
        assert!(error("pkcs11:object=x").contains("module-path"));
        assert!(error("pkcs11:object=x?module-path=/nonexistent.so").contains("cannot load the library"));
        let missing =
            open(&uri.replace(object, "nothing"), &crate::fixture::Silent).err().unwrap().to_string();
        assert!(missing.contains("there is no such"), "{missing}");

        let fixture = Fixture::new();
        fixture.publish(&Made::new("1.0.0", 1), START).unwrap();
        let key = open(&uri, &crate::fixture::Silent).unwrap().public_key().unwrap();
        let (repository, _) = fixture.open();
        add_key(&repository, "card", &key, Some(&uri)).unwrap();
        drop(repository);
        let (repository, state) = fixture.open();
        let old = format!("{role}-1");
        rotate(&repository, &state, &rotation(role, &["card"], &[&old]), &signers(), START).unwrap();
        drop(repository);
        let report = fixture.verify(START);
        assert!(report.problems.is_empty(), "{report:#?}");
    }
    println!("signed by a token");
}

fn make_keys() {
    let library = Pkcs11::new(library()).unwrap();
    library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = library.get_slots_with_initialized_token().unwrap()[0];
    let session = library.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(PIN.to_owned().into()))).unwrap();
    for (label, mechanism, curve) in
        [("edwards", Mechanism::EccEdwardsKeyPairGen, ED25519), ("p256", Mechanism::EccKeyPairGen, P256)]
    {
        let name = || Attribute::Label(label.as_bytes().to_vec());
        let public =
            [Attribute::Token(true), name(), Attribute::EcParams(curve.to_vec()), Attribute::Verify(true)];
        let private = [Attribute::Token(true), name(), Attribute::Private(true), Attribute::Sign(true)];
        session.generate_key_pair(&mechanism, &public, &private).unwrap();
    }
    session.close().unwrap();
    library.finalize().unwrap();
}
