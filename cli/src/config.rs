//! What the user configured: options that every command takes, the
//! environment, `config.toml`. The only place that reads any of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osbuild_core::build::sandbox::catch_interrupts;
use osbuild_core::fetch::{FetchConfig, Fetcher};
use osbuild_core::remote::{Remote, RemoteConfig, Storage};
use osbuild_store::cache::{Access, BinaryCache, S3Keys, Substituters};
use osbuild_store::local::Layout;
use osbuild_store::signature::{PublicKey, TrustedKeys};
use osbuild_store::{LocalStore, StoreDir};
use serde::Deserialize;

use crate::error::{Exit, Failure};
use crate::ui::Verbosity;

/// Every environment variable that the command reads, with what it does.
pub(crate) const ENVIRONMENT: &[(&str, &str)] = &[
    ("OSBUILD_HOME", "where the store is kept (default: $XDG_DATA_HOME/osbuild or ~/.local/share/osbuild)"),
    ("OSBUILD_CONFIG", "the configuration file (default: ~/.config/osbuild/config.toml)"),
    (
        "OSBUILD_MIRROR_<NAME>",
        "where mirror://<name>/ is; addresses separated by blanks, dashes in the name as _",
    ),
    ("OSBUILD_SOURCES", "mirrors by hash, asked first; addresses or directories separated by blanks"),
    (
        "OSBUILD_SUBSTITUTERS",
        "binary caches asked before those of the configuration file, separated by blanks",
    ),
    ("OSBUILD_TRUSTED_PUBLIC_KEYS", "further keys whose word on the contents of caches counts: NAME:BASE64"),
    (
        "AWS_ACCESS_KEY_ID",
        "with AWS_SECRET_ACCESS_KEY and, for a session, AWS_SESSION_TOKEN: for s3:// caches",
    ),
    ("AWS_SECRET_ACCESS_KEY", "see AWS_ACCESS_KEY_ID"),
    ("AWS_SESSION_TOKEN", "see AWS_ACCESS_KEY_ID"),
    ("OSBUILD_REMOTE", "the cluster that builds run on, as --remote"),
    (
        "OSBUILD_REMOTE_BUILDER",
        "a static osbuild-builder for its machines (default: the one that the recipe remote-builder makes)",
    ),
    ("OSBUILD_ROOT", "the project root, as --root"),
    ("NIX_PATH", "where <x> is looked up by `eval` of files and expressions: [NAME=]DIR separated by colons"),
    ("NIX_STORE_DIR", "the store directory of nix-instantiate, which writes there (default: /nix/store)"),
    ("NIX_STORE", "as NIX_STORE_DIR, which is stronger"),
    (
        "NIX_STATE_DIR",
        "what belongs to a store in NIX_STORE_DIR is kept in osbuild/ there (default: ../var/nix beside it)",
    ),
    ("NIX_REMOTE", "the store of nix-instantiate: dummy:// is none, a directory is the root of one"),
    ("NIX_CONFIG", "settings of nix-instantiate: lines of NAME = VALUE, after those of the nix.conf files"),
    ("NIX_CONF_DIR", "where nix-instantiate finds the machine's nix.conf (default: /etc/nix)"),
    (
        "NIX_USER_CONF_FILES",
        "further ones, separated by colons (default: nix/nix.conf in XDG_CONFIG_HOME and XDG_CONFIG_DIRS)",
    ),
    ("NIX_ABORT_ON_WARN", "1 makes `builtins.warn` an error in nix-instantiate"),
    ("OSBUILD_KEY_PASSPHRASE", "what opens the private keys of `osbuild repo`, where it is not asked for"),
    ("OSBUILD_KEYRING", "the keyring that signs the distribution's archives"),
];

/// Options that every command takes.
#[derive(clap::Args)]
pub(crate) struct CommonArguments {
    /// Say nothing but errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Show the builds' logs while they run
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// One JSON record a line on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show every step on the way to an evaluation error
    #[arg(long, global = true)]
    pub(crate) show_trace: bool,
    /// The project root (default: the nearest parent with recipes/ and variants/)
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

impl CommonArguments {
    pub(crate) fn verbosity(&self) -> Verbosity {
        Verbosity { quiet: self.quiet, verbose: self.verbose }
    }
}

/// `config.toml`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ConfigFile {
    #[serde(default)]
    mirrors: BTreeMap<String, OneOrMore>,
    #[serde(default)]
    sources: Vec<String>,
    keyring: Option<PathBuf>,
    #[serde(default)]
    substituters: Vec<String>,
    #[serde(default)]
    trusted_public_keys: Vec<String>,
    #[serde(default)]
    remote: RemoteSection,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RemoteSection {
    address: Option<String>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Where distributions keep the keyring of their archives.
const KEYRINGS: &[&str] = &[
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/etc/apt/trusted.gpg.d/debian-archive-keyring.gpg",
];

/// The directory of the user's store.
pub(crate) fn home() -> Result<PathBuf, Failure> {
    if let Some(home) = variable("OSBUILD_HOME") {
        return Ok(home.into());
    }
    if let Some(data) = variable("XDG_DATA_HOME") {
        return Ok(Path::new(&data).join("osbuild"));
    }
    match variable("HOME") {
        Some(home) => Ok(Path::new(&home).join(".local/share/osbuild")),
        None => {
            Err(Failure::usage("neither OSBUILD_HOME nor HOME is set", "set OSBUILD_HOME to a directory"))
        }
    }
}

/// The project root that the environment names.
pub(crate) fn root() -> Option<PathBuf> {
    variable("OSBUILD_ROOT").map(PathBuf::from)
}

/// The entries of `NIX_PATH`.
pub(crate) fn nix_path() -> Vec<String> {
    search_entries(&variable("NIX_PATH").unwrap_or_default())
}

/// Entries between colons; the colon of an address (`https://…`,
/// `channel:…`) ends none.
pub(crate) fn search_entries(value: &str) -> Vec<String> {
    let mut entries = Vec::new();
    let mut entry = String::new();
    for (index, part) in value.split(':').enumerate() {
        let place = entry.rsplit('=').next().unwrap_or_default();
        let is_address = index > 0
            && (part.starts_with("//") || matches!(place, "channel" | "flake"))
            && !place.is_empty()
            && !place.contains('/');
        if is_address {
            entry.push(':');
        } else if !entry.is_empty() {
            entries.push(std::mem::take(&mut entry));
        }
        entry.push_str(part);
    }
    if !entry.is_empty() {
        entries.push(entry);
    }
    entries
}

/// The store of `nix-instantiate`.
pub(crate) enum NixStore {
    /// None: paths are only computed.
    None(StoreDir),
    At(Layout),
}

impl NixStore {
    pub(crate) fn store_dir(&self) -> &StoreDir {
        match self {
            Self::None(store_dir) => store_dir,
            Self::At(layout) => &layout.store_dir,
        }
    }
}

/// The store that a setting of Nix names, else `NIX_REMOTE`.
///
/// The usual one is the user's. With another store directory, objects really
/// are in that directory, as Nix has it, and the rest is in `NIX_STATE_DIR` or
/// beside it. A directory is the root of a file system with a store in it.
pub(crate) fn nix_store(named: Option<&str>) -> Result<NixStore, Failure> {
    let store_dir = nix_store_dir()?;
    let from_environment = variable("NIX_REMOTE");
    let name = named.filter(|name| !name.is_empty()).or(from_environment.as_deref()).unwrap_or("auto");
    let root = match name {
        "auto" | "daemon" | "local" => None,
        name if name.starts_with("unix://") => None,
        name if name.starts_with("dummy:") => return Ok(NixStore::None(store_dir)),
        name => {
            let root = name.strip_prefix("local?root=").unwrap_or(name);
            if !(root.starts_with('/') || root.starts_with("./")) || root.contains(['?', '&']) {
                return Err(Failure::new(
                    Exit::Failed,
                    &format!("don't know how to open Nix store '{name}'"),
                )
                .with_hint("auto, dummy:// and directories are known"));
            }
            Some(std::path::absolute(root)?)
        }
    };
    let layout = match root {
        Some(root) => Layout {
            home: root.join("nix/var/nix/osbuild"),
            objects: root.join(store_dir.as_str().trim_start_matches('/')),
            store_dir,
        },
        None if store_dir == StoreDir::default() => Layout::below(&home()?),
        None => {
            let beside = Path::new(store_dir.as_str()).parent().unwrap_or(Path::new("/")).join("var/nix");
            let state = variable("NIX_STATE_DIR").map_or(beside, PathBuf::from);
            Layout::in_place(store_dir, &state.join("osbuild"))
        }
    };
    Ok(NixStore::At(layout))
}

/// The logical store directory that `nix-instantiate` is to assume.
fn nix_store_dir() -> Result<StoreDir, Failure> {
    let Some(text) = variable("NIX_STORE_DIR").or_else(|| variable("NIX_STORE")) else {
        return Ok(StoreDir::default());
    };
    let directory = text.trim_end_matches('/');
    if !directory.starts_with('/') {
        return Err(Failure::new(Exit::Failed, &format!("not an absolute path: '{text}'"))
            .with_hint("NIX_STORE_DIR names the store directory"));
    }
    Ok(StoreDir::new(directory))
}

/// Where Nix keeps its settings, the weakest first.
pub(crate) fn nix_configuration_files() -> Vec<PathBuf> {
    let machine = variable("NIX_CONF_DIR").unwrap_or_else(|| "/etc/nix".to_owned());
    let mut files = vec![Path::new(&machine).join("nix.conf")];
    if let Some(list) = variable("NIX_USER_CONF_FILES") {
        let user: Vec<PathBuf> = list.split(':').map(PathBuf::from).collect();
        files.extend(user.into_iter().rev());
        return files;
    }
    let shared = variable("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".to_owned());
    files.extend(shared.split(':').rev().map(|place| Path::new(place).join("nix/nix.conf")));
    let own = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&variable("HOME")?).join(".config")));
    files.extend(own.map(|place| place.join("nix/nix.conf")));
    files
}

/// Settings of Nix in the environment.
pub(crate) fn nix_configuration() -> Option<String> {
    variable("NIX_CONFIG")
}

pub(crate) fn nix_abort_on_warn() -> bool {
    variable("NIX_ABORT_ON_WARN").is_some_and(|value| matches!(value.as_str(), "1" | "yes" | "true"))
}

pub(crate) fn open_store() -> Result<Arc<LocalStore>, Failure> {
    Ok(Arc::new(LocalStore::open(&home()?)?))
}

/// The store for collecting garbage, which must work where nothing else does:
/// on a full disk.
pub(crate) fn open_store_for_collection() -> Result<LocalStore, Failure> {
    Ok(LocalStore::open_for_collection(&home()?)?)
}

/// The fetcher as configured; from now on an interrupt ends requests.
pub(crate) fn fetcher(store: &LocalStore) -> Result<Fetcher, Failure> {
    let file = config_file()?;
    let mut mirrors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, addresses) in file.mirrors {
        let addresses = match addresses {
            OneOrMore::One(address) => vec![address],
            OneOrMore::More(addresses) => addresses,
        };
        mirrors.insert(name, addresses);
    }
    for (name, value) in std::env::vars() {
        if let Some(name) = name.strip_prefix("OSBUILD_MIRROR_") {
            let name = name.to_lowercase().replace('_', "-");
            mirrors.insert(name, value.split_whitespace().map(str::to_owned).collect());
        }
    }
    let mut sources = file.sources;
    if let Some(value) = variable("OSBUILD_SOURCES") {
        sources.splice(0..0, value.split_whitespace().map(str::to_owned));
    }
    let configured = variable("OSBUILD_KEYRING").map(PathBuf::from).or(file.keyring);
    let keyrings = match configured {
        Some(keyring) => vec![keyring],
        None => KEYRINGS.iter().map(PathBuf::from).collect(),
    };
    let cargo_home = variable("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&variable("HOME")?).join(".cargo")));
    let cache = store.home().join("cache");
    let interrupted = Some(catch_interrupts());
    Ok(Fetcher::new(FetchConfig { mirrors, sources, keyrings, cargo_home, cache, interrupted }))
}

/// The binary caches as configured, none if they are not `wanted`, and what is
/// on a cluster.
pub(crate) fn substituters(
    store: &LocalStore,
    wanted: bool,
    remote: Option<&Arc<Remote>>,
) -> Result<Substituters, Failure> {
    let mut addresses = Vec::new();
    if wanted {
        addresses = words("OSBUILD_SUBSTITUTERS");
        addresses.extend(config_file()?.substituters);
    }
    let storage = |remote: &Arc<Remote>| {
        BinaryCache::of(Box::new(Storage::new(remote.clone(), store.store_dir().clone())))
    };
    substituters_with(store, remote.map(storage), addresses)
}

/// These caches, believed as configured.
pub(crate) fn substituters_of(store: &LocalStore, addresses: Vec<String>) -> Result<Substituters, Failure> {
    substituters_with(store, None, addresses)
}

fn substituters_with(
    store: &LocalStore,
    first: Option<BinaryCache>,
    addresses: Vec<String>,
) -> Result<Substituters, Failure> {
    let access = cache_access();
    let mut caches = Vec::from_iter(first);
    for address in &addresses {
        caches.push(BinaryCache::at(address, &access)?);
    }
    let memory = store.home().join("cache");
    Ok(Substituters::new(caches, trusted_keys()?, store.store_dir().clone(), &memory))
}

/// The keys whose word counts, as configured.
pub(crate) fn trusted_keys() -> Result<TrustedKeys, Failure> {
    let texts = words("OSBUILD_TRUSTED_PUBLIC_KEYS").into_iter().chain(config_file()?.trusted_public_keys);
    let mut keys = Vec::new();
    for text in texts {
        keys.push(PublicKey::parse(&text).map_err(|error| {
            Failure::usage(
                &format!("a trusted key is malformed: {error}"),
                "keys are NAME:BASE64, public ones",
            )
        })?);
    }
    Ok(TrustedKeys::from_iter(keys))
}

/// The cluster that builds run on: `address` if given, else the one that is
/// configured.
pub(crate) fn remote(address: Option<&str>) -> Result<Option<RemoteConfig>, Failure> {
    let RemoteSection { address: configured, properties, headers } = config_file()?.remote;
    let address = address.map(str::to_owned).or_else(|| variable("OSBUILD_REMOTE")).or(configured);
    Ok(address.map(|address| RemoteConfig { address, properties, headers }))
}

/// The builder for its machines, where the user has one.
pub(crate) fn remote_builder() -> Option<PathBuf> {
    variable("OSBUILD_REMOTE_BUILDER").map(PathBuf::from)
}

/// What reaching a cache takes.
pub(crate) fn cache_access() -> Access {
    let keys = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
    let s3 = keys.map(|(access_key, secret_key)| S3Keys {
        access_key,
        secret_key,
        session_token: variable("AWS_SESSION_TOKEN"),
    });
    Access { s3, ..Access::default() }
}

fn config_file() -> Result<ConfigFile, Failure> {
    let path = match variable("OSBUILD_CONFIG") {
        Some(path) => PathBuf::from(path),
        None => {
            let base = variable("XDG_CONFIG_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(Path::new(&variable("HOME")?).join(".config")));
            match base {
                Some(base) => base.join("osbuild/config.toml"),
                None => return Ok(ConfigFile::default()),
            }
        }
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(ConfigFile::default()),
        Err(e) => return Err(Failure::usage(&format!("cannot read {}: {e}", path.display()), "")),
    };
    toml::from_str(&text).map_err(|e| {
        Failure::usage(
            &format!("{}: {}", path.display(), e.to_string().trim_end()),
            "see the README for what it may hold",
        )
    })
}

/// A variable that is a list.
fn words(name: &str) -> Vec<String> {
    variable(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// What opens the keys of repositories.
pub(crate) fn key_passphrase() -> Option<String> {
    variable("OSBUILD_KEY_PASSPHRASE")
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
