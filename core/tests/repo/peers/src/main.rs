//! `tuf-peers CLIENT ROOT METADATA-URL TARGETS-URL NAME`: follows a repository
//! with one of the clients and prints a target.

use std::error::Error;
use std::io::Write as _;

use futures_util::StreamExt as _;
use url::Url;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [client, root, metadata, targets, name] = arguments.as_slice() else {
        return Err("expected CLIENT ROOT METADATA-URL TARGETS-URL NAME".into());
    };
    let root = std::fs::read(root)?;
    let bytes = match client.as_str() {
        "tough" => tough(&root, metadata, targets, name).await?,
        "sigstore-tuf" => sigstore(&root, metadata, targets, name).await?,
        other => return Err(format!("no client {other}").into()),
    };
    std::io::stdout().write_all(&bytes)?;
    Ok(())
}

/// By files: its HTTP transport is a feature that nothing here needs.
async fn tough(root: &[u8], metadata: &str, targets: &str, name: &str) -> Result<Vec<u8>> {
    let repository =
        tough::RepositoryLoader::new(&root, Url::parse(metadata)?, Url::parse(targets)?).load().await?;
    let name = tough::TargetName::new(name)?;
    let mut stream = repository.read_target(&name).await?.ok_or("no such target")?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

async fn sigstore(root: &[u8], metadata: &str, targets: &str, name: &str) -> Result<Vec<u8>> {
    let repository = sigstore_tuf::HttpRepository::new(metadata)?.with_targets_base(targets)?;
    let mut updater = sigstore_tuf::Updater::new(repository, root)?;
    updater.refresh(jiff::Timestamp::now()).await?;
    Ok(updater.get_target(name, jiff::Timestamp::now()).await?)
}
