//! How the command ends: the only place where an error becomes a kind, a hint
//! and an exit code.

use std::error::Error;
use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use osbuild_compare::CompareError;
use osbuild_core::build::BuildError;
use osbuild_core::build::builtin::BuiltinError;
use osbuild_core::build::builtin::fetchurl::Pin;
use osbuild_core::build::sandbox::SandboxError;
use osbuild_core::disk::{DiskError, InstallError, Refusal};
use osbuild_core::fetch::FetchError;
use osbuild_core::fetch::lock::listed::Listed;
use osbuild_core::graph::GraphError;
use osbuild_core::image::facts::FactsError;
use osbuild_core::image::sign::SignError;
use osbuild_core::image::size::SizeError;
use osbuild_core::lang::EvalError;
use osbuild_core::lang::error::ErrorKind as EvalErrorKind;
use osbuild_core::remote::RemoteError;
use osbuild_core::repo::RepoError;
use osbuild_store::cache::CacheError;
use osbuild_store::cache::place::PlaceError;
use osbuild_store::error::one_line;
use osbuild_store::{StoreDir, StoreError, StorePath, is_disk_full};

/// The exit codes, which scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// What was asked was done.
    Done = 0,
    /// What was asked failed: an evaluation, a build, a boot.
    Failed = 1,
    /// The command line or the configuration is wrong.
    UsedWrongly = 2,
    /// A hash, a signature or a comparison was refused, at whatever depth.
    Refused = 3,
    /// A bug in this program.
    Bug = 70,
    /// `nix-instantiate`: what a program was to read could not be built, took
    /// too long, or has another hash; Nix's own codes.
    NixBuild = 100,
    NixTimedOut = 101,
    NixHash = 102,
    /// Interrupted by the user.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What a command that did not do what was asked says.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// `error:` and the lines below it, as many as there are causes.
    lines: Vec<String>,
    hint: Option<String>,
    /// Where an evaluation failed: how.
    evaluation: Option<EvalErrorKind>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: &str) -> Self {
        Self { exit, lines: vec![format!("error: {message}")], hint: None, evaluation: None }
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(message: &str, hint: &str) -> Self {
        Self::new(Exit::UsedWrongly, message).with_hint(hint)
    }

    /// Adds what the user may do about it; an empty text adds nothing.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        if !hint.is_empty() {
            self.hint = Some(hint.to_owned());
        }
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether it is an evaluation that took more memory than it may.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.evaluation == Some(EvalErrorKind::Memory)
    }

    /// With the exit code that Nix's programs have for it.
    #[must_use]
    pub(crate) fn into_that_of_nix(mut self) -> Self {
        self.exit = match (self.exit, self.evaluation) {
            (_, Some(EvalErrorKind::Build)) => Exit::NixBuild,
            (_, Some(EvalErrorKind::BuildTimedOut)) => Exit::NixTimedOut,
            (_, Some(EvalErrorKind::BuildRefused)) => Exit::NixHash,
            (exit @ (Exit::Done | Exit::Bug | Exit::Interrupted), _) => exit,
            _ => Exit::Failed,
        };
        self
    }

    /// What is said, without the first `error:`.
    pub(crate) fn lines(&self) -> Vec<&str> {
        let lines = self.lines.iter().map(String::as_str).enumerate();
        lines
            .map(|(index, line)| if index == 0 { line.trim_start_matches("error: ") } else { line })
            .collect()
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Why one derivation was not built.
    pub(crate) fn of_build(path: &StorePath, error: &BuildError) -> Self {
        of_build(path, error)
    }

    pub(crate) fn print(&self) {
        for line in &self.lines {
            eprintln!("{line}");
        }
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
    }

    /// An error with its causes on one line: each says what the others do not.
    fn of(exit: Exit, error: &dyn Error) -> Self {
        Self::new(exit, &one_line(error))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (exit, hint) = match &error {
            StoreError::Corrupt { .. } => {
                (Exit::Refused, "run `osbuild store verify --repair`: damaged objects are then made again")
            }
            StoreError::DamagedDatabase { .. } => (
                Exit::Refused,
                "run `osbuild store verify --repair`: it keeps the damaged file and makes a new one from the objects",
            ),
            StoreError::Newer { .. } => {
                (Exit::UsedWrongly, "use the newer osbuild that wrote it, or another OSBUILD_HOME")
            }
            _ => (Exit::Failed, ""),
        };
        let hint = io_hint(&error).unwrap_or_else(|| hint.to_owned());
        Self::of(exit, &error).with_hint(&hint)
    }
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        let (exit, hint) = match error {
            CacheError::Store(error) => return error.into(),
            CacheError::Place(PlaceError::Interrupted) => (Exit::Interrupted, ""),
            CacheError::Address(_) | CacheError::StoreDir { .. } => (Exit::UsedWrongly, ""),
            CacheError::Archive { .. } | CacheError::NarInfo { .. } => {
                (Exit::Refused, "nothing of it entered the store; tell whoever keeps that cache")
            }
            CacheError::Gone { .. } | CacheError::CacheInfo { .. } | CacheError::Place(_) => {
                (Exit::Failed, "")
            }
        };
        Self::of(exit, &error).with_hint(hint)
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        let exit = match &error {
            RemoteError::Store(_) | RemoteError::Io { .. } | RemoteError::Call { .. } => Exit::Failed,
            RemoteError::Interrupted => Exit::Interrupted,
            RemoteError::Address(_) | RemoteError::Header(_) | RemoteError::Unsupported { .. } => {
                Exit::UsedWrongly
            }
            RemoteError::Wrong { .. } => Exit::Refused,
            RemoteError::Machine { .. } | RemoteError::Gone { .. } => Exit::Failed,
        };
        let hint = remote_hint(&error);
        Self::of(exit, &error).with_hint(&hint)
    }
}

fn remote_hint(error: &RemoteError) -> String {
    match error {
        RemoteError::Machine { .. } => {
            "its machines must let actions make user namespaces: choose such machines with [remote.properties] in config.toml, \
             or build here with --no-remote"
                .to_owned()
        }
        RemoteError::Call { .. } => "--no-remote builds here".to_owned(),
        error => io_hint(error).unwrap_or_default(),
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        let exit = match &error {
            FetchError::HashMismatch { .. } | FetchError::Untrusted { .. } => Exit::Refused,
            FetchError::NoMirror { .. } | FetchError::Lock { .. } => Exit::UsedWrongly,
            FetchError::Interrupted => Exit::Interrupted,
            _ => Exit::Failed,
        };
        let hint = fetch_hint(&error);
        Self::of(exit, &error).with_hint(&hint)
    }
}

fn fetch_hint(error: &FetchError) -> String {
    match error {
        FetchError::NoMirror { name } => format!(
            "name one in ~/.config/osbuild/config.toml:\n  [mirrors]\n  {name} = \"https://…\"\n\
             or in the environment: OSBUILD_MIRROR_{}",
            name.to_uppercase().replace('-', "_")
        ),
        FetchError::HashMismatch { .. } => {
            "if upstream released the file anew, check it, then put the new hash where the recipe or lock has the old one"
                .to_owned()
        }
        FetchError::Untrusted { .. } => {
            "OSBUILD_KEYRING names another keyring; never skip this check".to_owned()
        }
        FetchError::Unreachable { .. } => "check the network and SSL_CERT_FILE, then run the command again".to_owned(),
        error => io_hint(error).unwrap_or_default(),
    }
}

/// What became of a pin that no mirror serves.
fn gone_hint(pin: &Pin, listed: Option<&Listed>) -> String {
    let Pin { lock, package, version, .. } = pin;
    let suite = pin.suite.as_deref().unwrap_or_default();
    match listed {
        Some(Listed::Version(now)) if now == version => format!(
            "suite {suite} still lists this version: the mirror is incomplete, try later or name another one"
        ),
        Some(Listed::Version(now)) => {
            format!("suite {suite} now has {package} {now}: `osbuild lock update {lock}` pins it")
        }
        Some(Listed::Absent) => format!(
            "suite {suite} has no {package} any more: name another in the request of recipes/locks/{lock}.json, \
             then run `osbuild lock update {lock}`"
        ),
        None => format!(
            "mirrors drop superseded versions: `osbuild lock update {lock}` pins what the suite has now"
        ),
    }
}

impl From<FactsError> for Failure {
    fn from(error: FactsError) -> Self {
        Self::of(Exit::Failed, &error)
    }
}

impl From<CompareError> for Failure {
    fn from(error: CompareError) -> Self {
        Self::of(Exit::Failed, &error)
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        Self::of(Exit::Failed, &error)
    }
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        let exit = match &error {
            DiskError::Install(
                InstallError::WrongTree { .. }
                | InstallError::WrongBlock { .. }
                | InstallError::WrongBytes { .. }
                | InstallError::Contradiction { .. }
                | InstallError::NotIntact { .. },
            ) => Exit::Refused,
            _ => Exit::Failed,
        };
        let hint = match &error {
            DiskError::NotOurs { .. } => "give a raw disk image (disk.raw) that osbuild made",
            DiskError::Refused(Refusal::AlreadyInOther { .. }) => {
                "raise release.version, so that the roots differ"
            }
            DiskError::Refused(refusal) => refusal.remedy(),
            _ => "",
        };
        Self::of(exit, &error).with_hint(hint)
    }
}

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        let (exit, hint) = match &error {
            SignError::Key { .. } => (
                Exit::UsedWrongly,
                "--key takes a PEM file with an RSA key and its certificate, or exec:COMMAND",
            ),
            SignError::Image { .. } => {
                (Exit::Failed, "give the output of building a variant, unsigned (`result`)")
            }
            _ => (Exit::Failed, ""),
        };
        let hint = io_hint(&error).unwrap_or_else(|| hint.to_owned());
        Self::of(exit, &error).with_hint(&hint)
    }
}

impl From<RepoError> for Failure {
    fn from(error: RepoError) -> Self {
        let exit = match &error {
            RepoError::Argument(_)
            | RepoError::NotARepository { .. }
            | RepoError::Exists { .. }
            | RepoError::KeyInside { .. }
            | RepoError::Policy { .. }
            | RepoError::Key { .. } => Exit::UsedWrongly,
            RepoError::Tuf(_)
            | RepoError::Document(_)
            | RepoError::SelfCheck(_)
            | RepoError::Target { .. }
            | RepoError::Audit { .. }
            | RepoError::Release { .. }
            | RepoError::Changed { .. } => Exit::Refused,
            _ => Exit::Failed,
        };
        let hint = match &error {
            RepoError::NotARepository { .. } => "`osbuild repo init DIR` makes one",
            RepoError::KeysMissing { .. } => {
                "--key NAME=FILE or NAME=exec:COMMAND names a key that is elsewhere; of root and targets what waits is in the \
                 repository's folder staged: pass that file on (`osbuild repo sign`), put it back, and run the command again"
            }
            RepoError::Changed { .. } => {
                "a release never changes: raise release.version and release.rollbackIndex"
            }
            RepoError::SelfCheck(osbuild_tuf::Error::Expired { .. }) => {
                "sign it again with its keys: `osbuild repo refresh DIR --role ROLE`"
            }
            RepoError::Behind { .. } => {
                "bring what is there here first, or publish from where it was published last"
            }
            RepoError::Audit { .. } => "compare it with a copy: whoever changed it can have changed more",
            RepoError::KeyInside { .. } => {
                "put it elsewhere: everything below a repository may be copied and served"
            }
            _ => "",
        };
        let hint = io_hint(&error).unwrap_or_else(|| hint.to_owned());
        Self::of(exit, &error).with_hint(&hint)
    }
}

impl From<SizeError> for Failure {
    fn from(error: SizeError) -> Self {
        Self::of(Exit::Failed, &error)
    }
}

/// Whether evaluation errors show every step that led to them.
static WHOLE_TRAIL: AtomicBool = AtomicBool::new(false);

pub(crate) fn show_whole_trail(whole: bool) {
    WHOLE_TRAIL.store(whole, Ordering::Relaxed);
}

impl From<EvalError> for Failure {
    fn from(mut error: EvalError) -> Self {
        error.whole_trail = WHOLE_TRAIL.load(Ordering::Relaxed);
        let exit = match error.kind {
            EvalErrorKind::Usage => Exit::UsedWrongly,
            EvalErrorKind::BuildRefused => Exit::Refused,
            EvalErrorKind::Interrupted => Exit::Interrupted,
            _ => Exit::Failed,
        };
        let hint = error.hint.clone().unwrap_or_default();
        Self { evaluation: Some(error.kind), ..Self::new(exit, &error.to_string()).with_hint(&hint) }
    }
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Failed { failures } => of_failures(&failures),
            GraphError::Store(error) => error.into(),
            GraphError::Cache(error) => error.into(),
            GraphError::Interrupted => Self::new(Exit::Interrupted, "interrupted"),
            error => Self::of(Exit::Failed, &error),
        }
    }
}

fn of_failures(failures: &[(StorePath, BuildError)]) -> Failure {
    let mut whole = Failure { exit: Exit::Failed, lines: Vec::new(), hint: None, evaluation: None };
    for (path, error) in failures {
        let one = of_build(path, error);
        whole.lines.extend(one.lines);
        whole.hint = whole.hint.or(one.hint);
        if one.exit != Exit::Failed {
            whole.exit = one.exit;
        }
    }
    whole
}

fn of_build(path: &StorePath, error: &BuildError) -> Failure {
    let name = path.derivation_name();
    let exit = match error {
        BuildError::HashMismatch { .. } | BuildError::NotReproducible { .. } => Exit::Refused,
        BuildError::Builtin { source: BuiltinError::Mismatch(_), .. } => Exit::Refused,
        BuildError::Download { source, .. } => match **source {
            FetchError::HashMismatch { .. } => Exit::Refused,
            FetchError::NoMirror { .. } => Exit::UsedWrongly,
            _ => Exit::Failed,
        },
        BuildError::Interrupted => Exit::Interrupted,
        BuildError::Remote(RemoteError::Wrong { .. }) => Exit::Refused,
        BuildError::Store(StoreError::Corrupt { .. }) => Exit::Refused,
        _ => Exit::Failed,
    };
    let mut failure = Failure::of(exit, error);
    failure.lines.push(format!("  while building: {name}"));
    let hint = match error {
        BuildError::Failed { tail, log, kept, .. } => {
            failure.lines.extend(tail.iter().map(|line| format!("  | {line}")));
            failure.lines.push(format!("  whole log: {}", log.display()));
            match kept {
                // The builder met it, and its error is only text by now.
                _ if tail.iter().any(|line| line.contains("No space left on device")) => full_hint(),
                Some(kept) => format!("the build's directory is kept: {}", kept.display()),
                None => format!(
                    "`osbuild shell {}` opens its sandbox; --keep-failed keeps the build's directory",
                    StoreDir::default().display(path)
                ),
            }
        }
        BuildError::TimedOut { log, .. } => {
            failure.lines.push(format!("  whole log: {}", log.display()));
            String::new()
        }
        BuildError::Unsupported { hint, .. } => hint.clone(),
        BuildError::Download { pin: Some(pin), listed, source }
            if matches!(**source, FetchError::Gone { .. }) =>
        {
            gone_hint(pin, listed.as_ref())
        }
        BuildError::Download { source, .. } => fetch_hint(source),
        BuildError::Fetch(source) => fetch_hint(source),
        BuildError::HashMismatch { .. } => {
            "if the new contents are right, put the new hash into the recipe".to_owned()
        }
        BuildError::NotReproducible { .. } => {
            "both results are kept; compare them, then look for dates, paths and order".to_owned()
        }
        BuildError::Sandbox(SandboxError::Namespaces { hint, .. }) => (*hint).to_owned(),
        BuildError::Sandbox(SandboxError::Execute { .. }) => {
            "the builder must exist in sandboxRoot, and so must its interpreter and libraries".to_owned()
        }
        BuildError::MissingInput(_) => {
            "evaluate again what the derivation came from: that puts its sources into the store".to_owned()
        }
        BuildError::Remote(error) => remote_hint(error),
        error => io_hint(error).unwrap_or_default(),
    };
    failure.with_hint(&hint)
}

/// What to do about a full or read-only disk, however deep the cause is.
fn io_hint(error: &(dyn Error + 'static)) -> Option<String> {
    if is_disk_full(error) {
        return Some(full_hint());
    }
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            let hint = match error.kind() {
                ErrorKind::ReadOnlyFilesystem => "set OSBUILD_HOME to a directory on a writable disk",
                ErrorKind::PermissionDenied => {
                    "the store belongs to one user: run as that user, or set OSBUILD_HOME to a directory of yours"
                }
                _ => return None,
            };
            return Some(hint.to_owned());
        }
        cause = error.source();
    }
    None
}

fn full_hint() -> String {
    let home =
        crate::config::home().map_or_else(|_| "the store".to_owned(), |home| home.display().to_string());
    format!(
        "the disk of {home} is full: `osbuild store gc` frees space, then run the command again: it resumes"
    )
}

/// For output that goes to a pipe: a reader that left is no failure.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let exit = if error.kind() == ErrorKind::BrokenPipe { Exit::Done } else { Exit::Failed };
        let mut failure = Self::of(exit, &error);
        if exit == Exit::Done {
            failure.lines.clear();
        }
        failure
    }
}
