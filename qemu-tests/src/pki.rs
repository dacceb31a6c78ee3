//! Certificates of one authority, for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate authority, and the directory that its files are in.
pub(crate) struct Pki {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// PEM.
    pub(crate) certificate: String,
}

impl Pki {
    pub(crate) fn new(directory: &Path, name: &str) -> Result<Self, String> {
        fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let key = KeyPair::generate().map_err(text)?;
        let mut parameters = CertificateParams::new(Vec::<String>::new()).map_err(text)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        parameters.distinguished_name.push(DnType::CommonName, name);
        let certificate = parameters.self_signed(&key).map_err(text)?.pem();
        let pki = Self { directory: directory.to_owned(), certificate, issuer: Issuer::new(parameters, key) };
        pki.write("ca.crt", &pki.certificate)?;
        pki.write("ca.key", &pki.issuer.key().serialize_pem())?;
        Ok(pki)
    }

    /// The file `NAME` of the authority's directory.
    pub(crate) fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// `NAME.crt` and `NAME.key`, for a server at these hosts or, without
    /// hosts, for a client; the group is Kubernetes'.
    pub(crate) fn issue(&self, name: &str, group: Option<&str>, hosts: &[&str]) -> Result<(), String> {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        self.sign(name, group, CertificateParams::new(hosts).map_err(text)?)
    }

    /// For a client, at the end of its ten days: nine are over.
    pub(crate) fn issue_old(&self, name: &str, group: &str) -> Result<(), String> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let mut parameters = CertificateParams::default();
        parameters.not_before = (SystemTime::now() - 9 * DAY).into();
        parameters.not_after = (SystemTime::now() + DAY).into();
        self.sign(name, Some(group), parameters)
    }

    fn sign(&self, name: &str, group: Option<&str>, mut parameters: CertificateParams) -> Result<(), String> {
        let key = KeyPair::generate().map_err(text)?;
        parameters.distinguished_name.push(DnType::CommonName, name);
        if let Some(group) = group {
            parameters.distinguished_name.push(DnType::OrganizationName, group);
        }
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(text)?;
        self.write(&format!("{name}.crt"), &certificate.pem())?;
        self.write(&format!("{name}.key"), &key.serialize_pem())
    }

    fn write(&self, name: &str, contents: &str) -> Result<(), String> {
        let path = self.directory.join(name);
        fs::write(&path, contents).map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn text(error: rcgen::Error) -> String {
    format!("a certificate: {error}")
}
