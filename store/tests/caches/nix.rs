//! Real Nix reads our caches, and we read its.

use std::path::Path;
use std::process::Command;

use crate::fixture::Fixture;
use crate::judge::{judge, passes};

/// Nix with a store of its own below `root`, asking nobody.
fn nix(root: &Path) -> Option<Command> {
    let mut command = judge("nix")?;
    let features =
        "experimental-features = nix-command ca-derivations\nsubstituters =\nbuild-users-group =\n";
    command.env("NIX_CONFIG", features).env("HOME", root).env_remove("NIX_REMOTE").env_remove("NIX_PATH");
    command.args(["--store", &format!("local?root={}", root.join("nix-root").display())]);
    Some(command)
}

#[test]
fn nix_copies_from_our_cache_and_verifies_it() {
    let fixture = Fixture::new();
    let (program, source) = (fixture.program(), fixture.source("text"));
    fixture.publish(&[&program, &source], &fixture.signed());
    let cache = format!("file://{}", fixture.cache().display());
    let key = fixture.key.public().to_string();
    let paths = [&program, &source].map(|path| fixture.from.store_dir().display(path));

    let Some(mut verify) = judge("nix") else { return };
    verify.env("NIX_CONFIG", format!("experimental-features = nix-command\ntrusted-public-keys = {key}"));
    verify.env("HOME", fixture.path()).env("NIX_REMOTE", "dummy://");
    passes(verify.args(["store", "verify", "--store", &cache, "--recursive"]).args(&paths));

    let mut copy = nix(fixture.path()).expect("it was there a moment ago");
    passes(copy.args(["copy", "--from", &cache, "--option", "trusted-public-keys", &key]).args(&paths));
    let physical = fixture.path().join("nix-root/nix/store").join(program.as_str());
    assert_eq!(std::fs::read(physical).unwrap(), std::fs::read(fixture.from.physical(&program)).unwrap());

    // With another key, only what its contents vouch for comes.
    let other = tempfile::tempdir().unwrap();
    for (path, comes) in paths.iter().zip([false, true]) {
        let mut copy = nix(other.path()).expect("it was there a moment ago");
        let output =
            copy.args(["copy", "--from", &cache, "--option", "trusted-public-keys", ""]).arg(path).output();
        assert_eq!(output.unwrap().status.success(), comes, "{path}");
    }
}

#[test]
fn we_copy_from_a_cache_that_nix_wrote() {
    let fixture = Fixture::new();
    let Some(mut add) = nix(fixture.path()) else { return };
    let tree = fixture.path().join("tree");
    std::fs::create_dir_all(tree.join("bin")).unwrap();
    std::fs::write(tree.join("bin/run"), "x".repeat(200_000)).unwrap();
    let added = passes(add.args(["store", "add-path", "--name", "tree"]).arg(&tree));
    let path = String::from_utf8(added.stdout).unwrap().trim().to_owned();
    let (object, _) = fixture.to.store_dir().split(&path).unwrap();

    let secret = fixture.path().join("secret");
    std::fs::write(&secret, fixture.key.to_text()).unwrap();
    for compression in ["none", "xz", "zstd", "gzip"] {
        let place = fixture.path().join(compression);
        let mut copy = nix(fixture.path()).expect("it was there a moment ago");
        let address =
            format!("file://{}?compression={compression}&secret-key={}", place.display(), secret.display());
        passes(copy.args(["copy", "--to", &address, &path]));
        let description = place.join(format!("{}.narinfo", object.hash_part()));
        let text = std::fs::read_to_string(description).unwrap();
        // Word for word what we would write.
        let info = osbuild_store::narinfo::NarInfo::parse(text.as_bytes(), fixture.to.store_dir()).unwrap();
        assert_eq!(info.to_text(fixture.to.store_dir()), text);
        assert_eq!(info.compression.name(), compression);

        let to = Fixture::new();
        let substituters = to.trusting(&[place.to_str().unwrap()], &[fixture.key.public()]);
        assert_eq!(to.fetch(&substituters, &object).unwrap().len(), 1);
        to.check();
    }
}
