//! The updater's client behind the command line of the public TUF client
//! conformance suite, so that anybody can judge it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Parser, Subcommand};
use osbuild_transfer::http::{Http, Metadata, Patience};
use osbuild_transfer::metadata::FileStore;
use osbuild_tuf::client::{Client, Failure, Kept, Limits, Store};
use osbuild_tuf::metadata::{ROOT, SNAPSHOT, TIMESTAMP, Target};
use osbuild_tuf::paths;
use osbuild_tuf::time::Time;
use reqwest::Url;

#[derive(Parser)]
struct Arguments {
    #[arg(long)]
    metadata_dir: PathBuf,
    #[arg(long)]
    metadata_url: Option<String>,
    #[arg(long)]
    target_name: Vec<String>,
    #[arg(long)]
    target_base_url: Option<String>,
    #[arg(long)]
    target_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Begin with this root.
    Init { trusted_root: PathBuf },
    /// Bring the metadata up to date.
    Refresh,
    /// The same, then fetch targets.
    Download,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let directory = &arguments.metadata_dir;
    if let Command::Init { trusted_root } = &arguments.command {
        fs::create_dir_all(directory)?;
        let root = fs::read(trusted_root)?;
        return Copied(directory).save(&Kept { roots: vec![root], ..Kept::default() });
    }
    let kept = Copied(directory).load();
    let root = match kept.roots.first() {
        Some(root) => root.clone(),
        None => fs::read(directory.join("root.json"))?,
    };
    let now = Time(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs());
    let http = Http::new(Patience::default())?;
    let base = folder(arguments.metadata_url.as_deref().ok_or("--metadata-url is missing")?)?;
    let mut client =
        Client::new(&root, Metadata { http: &http, base }, Copied(directory), Limits::default(), now)?;
    client.refresh()?;
    if let Command::Download = arguments.command {
        let base = folder(arguments.target_base_url.as_deref().ok_or("--target-base-url is missing")?)?;
        let into = arguments.target_dir.as_deref().ok_or("--target-dir is missing")?;
        for name in &arguments.target_name {
            let target = client.target(name)?;
            let is_prefixed = client.trusted().root().consistent_snapshot;
            download(&http, &base, into, name, &target, is_prefixed)?;
        }
    }
    Ok(())
}

fn download(
    http: &Http,
    base: &Url,
    into: &Path,
    name: &str,
    target: &Target,
    is_prefixed: bool,
) -> Result<(), Failure> {
    let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string();
    let path = into.join(encoded);
    if fs::read(&path).is_ok_and(|bytes| judged(name, target, &bytes).is_ok()) {
        return Ok(());
    }
    let digest = target.hashes.for_name().ok_or("no known hash")?;
    let file = if is_prefixed { paths::target_name(name, digest) } else { name.to_owned() };
    let mut bytes = Vec::new();
    http.get(&base.join(&file)?, 0, target.length, &mut |chunk| {
        bytes.extend_from_slice(chunk);
        Ok(())
    })?;
    judged(name, target, &bytes)?;
    fs::create_dir_all(into)?;
    let new = path.with_extension("new");
    let mut kept = File::create(&new)?;
    kept.write_all(&bytes)?;
    kept.sync_all()?;
    Ok(fs::rename(new, path)?)
}

fn judged(name: &str, target: &Target, bytes: &[u8]) -> Result<(), Failure> {
    if bytes.len() as u64 != target.length {
        return Err(format!("{name}: {} bytes where {} are due", bytes.len(), target.length).into());
    }
    let mut judge = target.hashes.judge(name)?;
    judge.update(bytes);
    Ok(judge.finish()?)
}

fn folder(url: &str) -> Result<Url, Failure> {
    Ok(Url::parse(&format!("{}/", url.trim_end_matches('/')))?)
}

/// The updater's own store, and beside it each file as it was served, for the
/// suite to look at.
struct Copied<'d>(&'d Path);

impl Store for Copied<'_> {
    fn load(&mut self) -> Kept {
        FileStore::new(self.0).load()
    }

    fn save(&mut self, kept: &Kept) -> Result<(), Failure> {
        FileStore::new(self.0).save(kept)?;
        let top = [
            (ROOT, kept.roots.last()),
            (TIMESTAMP, kept.timestamp.as_ref()),
            (SNAPSHOT, kept.snapshot.as_ref()),
        ];
        let top = top.into_iter().filter_map(|(role, bytes)| Some((role, bytes?)));
        for (role, bytes) in top.chain(kept.targets.iter().map(|(role, bytes)| (role.as_str(), bytes))) {
            fs::write(self.0.join(paths::metadata_name(role, None)), bytes)?;
        }
        Ok(())
    }
}
