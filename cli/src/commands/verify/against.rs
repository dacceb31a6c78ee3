//! A published release: made again from what is recorded of it, and compared.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osbuild_compare::{Limits, compare, report::text};
use osbuild_core::attest::link::Link;
use osbuild_core::attest::recorded;
use osbuild_core::attest::summary;
use osbuild_core::image::sign::sign_as;
use osbuild_core::repo::published::{Published, Wanted, differing, fetch};
use osbuild_core::repo::release::{Slot, path_in_output};
use osbuild_core::repo::verdict;
use osbuild_core::verify::steps::Step;
use osbuild_store::action::OutputName;
use osbuild_store::{LocalStore, StorePath};
use osbuild_update::names::Part;
use serde_json::json;

use crate::commands::repo::{first_root, now, place_of};
use crate::commands::signing::{Signing, SigningArguments};
use crate::commands::write_whole;
use crate::config::CommonArguments;
use crate::error::{Exit, Failure};

#[derive(clap::Args)]
pub(crate) struct AgainstArguments {
    /// Make a published release again, from what is recorded of it alone: a repository, its public/ folder, http://, https:// or s3://; TARGET is its variant, or CHANNEL/VARIANT
    #[arg(long, value_name = "DIR|URL", conflicts_with = "only")]
    against: Option<String>,
    /// Which release (default: the newest)
    #[arg(long, value_name = "VERSION", requires = "against")]
    release: Option<String>,
    /// The root that the repository is believed by: that of an image (default: the repository's first)
    #[arg(long, value_name = "FILE", requires = "against")]
    from: Option<PathBuf>,
    /// Write what was found there: a verification summary and an in-toto link, signed, and for `osbuild repo publish` a verdict if it was the same
    #[arg(long, value_name = "DIR", requires_all = ["against", "with"])]
    verdict: Option<PathBuf>,
    /// Who verifies, as a URI that those who read the summary know
    #[arg(long, value_name = "URI", default_value = "urn:osbuild:rebuilder", requires = "verdict")]
    verifier: String,
    #[command(flatten)]
    signing: SigningArguments,
}

/// What `osbuild repo publish --verdict` takes.
const VERDICT: &str = "verdict.json";

/// A release that is to be made again.
pub(super) struct Against<'a> {
    arguments: &'a AgainstArguments,
    signing: Option<Signing>,
    published: Published,
    /// Of its files, until they were compared.
    scratch: tempfile::TempDir,
    store: &'a Arc<LocalStore>,
    derivation: StorePath,
}

impl<'a> Against<'a> {
    /// Downloads it; `None` if there is none to go against.
    pub(super) fn open(
        arguments: &'a AgainstArguments,
        targets: &[String],
        store: &'a Arc<LocalStore>,
        common: &CommonArguments,
    ) -> Result<Option<Self>, Failure> {
        let Some(address) = &arguments.against else { return Ok(None) };
        let line = match targets {
            [] => None,
            [line] => Some(line.as_str()),
            _ => return Err(Failure::usage("--against is about one release", "name one variant")),
        };
        // Before builds that may take hours.
        let signing = arguments.signing.open()?;
        if let Some(directory) = &arguments.verdict {
            super::make_directory(directory)?;
            // Of an earlier comparison, which may have ended otherwise.
            remove_if_there(&directory.join(VERDICT))?;
        }
        let place = place_of(address)?;
        let root = first_root(place.as_ref(), arguments.from.as_deref())?;
        let wanted = Wanted { root: &root, line, version: arguments.release.as_deref() };
        let scratch = store.scratch("against")?;
        let progress = |name: &str| {
            if !common.quiet && !common.json {
                eprintln!("downloading {name}");
            }
        };
        let published = fetch(place.as_ref(), &wanted, &scratch.path().join("published"), now(), &progress)?;
        let derivation = recorded::read(store, &published.derivations)?;
        Ok(Some(Self { arguments, signing, published, scratch, store, derivation }))
    }

    pub(super) fn derivation(&self) -> &StorePath {
        &self.derivation
    }

    /// `stable.aws-k8s.x86_64 1.2.0`
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.published.line, self.published.slot.release.version)
    }

    /// Compares it with what came out here, says what differs, and gives the
    /// verdict; whether all of it is the same.
    pub(super) fn judge(&self, steps: &[Step], common: &CommonArguments) -> Result<bool, Failure> {
        let mut output = self.output(steps)?;
        let of_release = &self.published.slot.release.uki;
        if of_release.sha256 != of_release.unsigned_sha256 {
            // Nobody can sign again with somebody else's key, and nobody has to.
            let signed = self.scratch.path().join("signed");
            sign_as(&output, &signed, &self.folder())?;
            output = signed;
        }
        let again = Slot::read(&output)?;
        let differing = differing(&self.published.slot, &again);
        let mut out = std::io::stdout().lock();
        if common.json {
            let files: Vec<&str> = differing.iter().map(|part| part.file()).collect();
            let record = json!({
                "schema": 1, "event": "against", "release": self.name(), "isSame": differing.is_empty(), "differing": files,
            });
            writeln!(out, "{record}")?;
        } else if differing.is_empty() {
            writeln!(out, "{} is the same, bit for bit", self.name())?;
        } else {
            for part in &differing {
                self.explain(*part, &output, &mut out)?;
            }
        }
        drop(out);
        if let (Some(directory), Some(signing)) = (&self.arguments.verdict, &self.signing) {
            self.give(directory, signing, &again, differing.is_empty())?;
        }
        Ok(differing.is_empty())
    }

    /// Where the published files are.
    fn folder(&self) -> PathBuf {
        self.scratch.path().join("published")
    }

    /// What came out here.
    fn output(&self, steps: &[Step]) -> Result<PathBuf, Failure> {
        let step = steps.iter().find(|step| step.resolved.path == self.derivation);
        let path = step.and_then(|step| step.outputs.get(&OutputName::out()));
        let path = path.map(|path| self.store.physical(path));
        path.ok_or_else(|| {
            Failure::new(Exit::Refused, &format!("what {} was made from makes no image", self.name()))
        })
    }

    /// What somebody published is not what comes out.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(Exit::Refused, &format!("{} is not what it is said to be made from", self.name()))
    }

    fn explain(&self, part: Part, output: &Path, out: &mut impl std::io::Write) -> Result<(), Failure> {
        let published = path_in_output(&self.folder(), part);
        let again = path_in_output(output, part);
        writeln!(out, "{} of {} is another", part.file(), self.name())?;
        let names = [&published, &again].map(|path| path.display().to_string());
        match compare(&published, &again, &Limits::default(), self.scratch.path()) {
            Ok(Some(difference)) => {
                out.write_all(text::render(&difference, &names[0], &names[1]).as_bytes())?
            }
            Ok(None) => {}
            Err(error) => writeln!(out, "{error}")?,
        }
        Ok(())
    }

    fn give(&self, directory: &Path, signing: &Signing, again: &Slot, is_same: bool) -> Result<(), Failure> {
        let published = &self.published.slot;
        let release = &published.release;
        let uri = format!("pkg:generic/{}@{}?arch={}", release.variant, release.version, release.arch);
        let verifier = &self.arguments.verifier;
        let statement = summary::statement(published.resources(), &uri, verifier, is_same, Vec::new(), now());
        let summary = signing.seal("summary", statement.to_bytes())?;

        let mut link = Link::new(&published.files(), &again.files());
        link.add(&signing.key, &signing.sign("link", &link.message())?);

        write_whole(&directory.join("summary.intoto.jsonl"), &summary)?;
        write_whole(&directory.join("rebuild.link"), &link.to_bytes())?;
        if is_same {
            let verdict = verdict::give(published, &signing.signer, &signing.key, &signing.name)?;
            write_whole(&directory.join(VERDICT), &verdict)?;
        }
        Ok(())
    }
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
