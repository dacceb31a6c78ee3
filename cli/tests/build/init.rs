//! Repositories of somebody's own, which build with this tree.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::fixture::{Fixture, in_order};
use super::judge::machine_judge;

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A new repository, `my-os`, beside nothing.
fn begun() -> Fixture {
    let fixture = Fixture::new();
    fixture.succeeds(&["--root", PROJECT, "init", "my-os", "--base", "qemu-dev"]);
    fixture
}

/// Exit code, standard output and standard error of a command in a folder of it.
fn at(fixture: &Fixture, folder: &str, words: &[&str]) -> (Option<i32>, String, String) {
    let output = fixture.command(words).current_dir(fixture.place.path().join(folder)).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn sha256_of(place: &Path, file: &str) -> String {
    let sum = Command::new("sha256sum").arg(file).current_dir(place).output().unwrap();
    String::from_utf8(sum.stdout).unwrap()[..64].to_owned()
}

fn lock(fixture: &Fixture, text: &str) {
    std::fs::write(fixture.place.path().join("my-os/osbuild.lock"), text).unwrap();
}

#[test]
fn its_variants_have_names_like_the_toolkits() {
    let fixture = begun();
    for folder in ["my-os", "my-os/variants/my-os"] {
        let (code, out, err) = at(&fixture, folder, &["list", "variants"]);
        assert_eq!((code, out.as_str()), (Some(0), "aws-k8s\nmy-os\nqemu-dev\n"), "{err}");
    }
    let value = |folder: &str, name: &str| {
        let (code, out, err) = at(&fixture, folder, &["eval", name]);
        assert_eq!(code, Some(0), "{err}");
        out.trim().to_owned()
    };
    assert_eq!(value("my-os", "my-os.config.release.version"), "\"0.1.0\"");
    let level = "config.compression.level";
    assert_eq!(value("my-os", &format!("my-os.{level}")), value("my-os", &format!("qemu-dev.{level}")));
    // The same by its folder, and with a toolkit that is named.
    assert_eq!(value("my-os", "./variants/my-os#config.release.rollbackIndex"), "1");
    let (code, out, _) = at(&fixture, "my-os", &["--root", PROJECT, "list", "variants"]);
    assert_eq!((code, out.as_str()), (Some(0), "aws-k8s\nmy-os\nqemu-dev\n"));

    let ci = fixture.place.path().join("my-os/ci");
    assert_eq!(ci.metadata().unwrap().permissions().mode() & 0o111, 0o111);
    let usage = Command::new(&ci).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    in_order(&String::from_utf8_lossy(&usage.stdout), &["./ci build", "./ci verify", "./ci publish"]);
}

#[test]
fn its_workflow_is_one() {
    let Some(python) = machine_judge("python-with-in-toto", "OSBUILD_PYTHON_ATTESTATIONS") else { return };
    let fixture = begun();
    let judge = |file: &str| {
        let mut judge = Command::new(&python);
        judge.args(["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]);
        judge.arg(fixture.place.path().join(file)).output().unwrap()
    };
    let workflow = "my-os/.github/workflows/image.yml";
    let found = judge(workflow);
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stdout));
    // What it runs is there.
    let text = std::fs::read_to_string(fixture.place.path().join(workflow)).unwrap();
    let ci = std::fs::read_to_string(fixture.place.path().join("my-os/ci")).unwrap();
    let steps: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("run: ./ci ")).map(|s| s.1).collect();
    assert!(steps.len() >= 6, "{steps:?}");
    for step in steps {
        assert!(ci.contains(&format!("\nstep_{step}() {{\n")), "./ci has no step {step}");
    }
    std::fs::write(fixture.place.path().join("wrong.yml"), text.replace("runs-on:", "runs-at:")).unwrap();
    assert!(!judge("wrong.yml").status.success());
}

#[test]
fn what_is_there_is_kept() {
    let fixture = begun();
    let before = std::fs::read(fixture.place.path().join("my-os/ci")).unwrap();
    let init = ["--root", PROJECT, "init"];
    fixture.fails(&[&init[..], &["my-os"]].concat(), 2, &["is there already; nothing was written"]);
    assert_eq!(std::fs::read(fixture.place.path().join("my-os/ci")).unwrap(), before);
    fixture.fails(&[&init[..], &["My OS"]].concat(), 2, &["cannot be called 'My OS'", "--name NAME"]);
    fixture.fails(&[&init[..], &["other", "--base", "aws"]].concat(), 2, &["no variant 'aws'", "aws-k8s"]);
    assert!(!fixture.place.path().join("other").exists());
    // A folder with something else in it is a beginning, too, and a toolkit in it is found.
    std::fs::create_dir_all(fixture.place.path().join("other")).unwrap();
    std::os::unix::fs::symlink(PROJECT, fixture.place.path().join("other/toolkit")).unwrap();
    fixture.succeeds(&["init", "other"]);
    let lock = std::fs::read_to_string(fixture.place.path().join("other/osbuild.lock")).unwrap();
    assert!(lock.contains("path = \"toolkit\""), "{lock}");
}

#[test]
fn a_toolkit_that_is_not_there_is_told() {
    let fixture = begun();
    for (text, expected) in [
        ("[toolkit]\npath = \"elsewhere\"\n", &["my-os/osbuild.lock: ", "elsewhere is no toolkit"][..]),
        ("[toolkit]\npaht = \"x\"\n", &["my-os/osbuild.lock: ", "line 2", "paht"]),
        ("toolkit\n", &["my-os/osbuild.lock: ", "line 1", "hint: ", "[toolkit]"]),
        ("[toolkit]\n", &["my-os/osbuild.lock: it says neither path nor archive", "hint: ", "hash = "]),
        ("[toolkit]\narchive = \"x\"\n", &["my-os/osbuild.lock: an archive wants its hash"]),
        ("[toolkit]\npath = \"x\"\nhash = \"x\"\n", &["my-os/osbuild.lock: a hash wants its archive"]),
        ("[toolkit]\narchive = \"x\"\nhash = \"md5:0\"\n", &["hash has to be a SHA-256"]),
    ] {
        lock(&fixture, text);
        let (code, _, err) = at(&fixture, "my-os", &["list"]);
        assert_eq!(code, Some(2), "{err}");
        in_order(&err, expected);
    }
    // One that is given is enough.
    let (code, _, err) = at(&fixture, "my-os", &["--root", PROJECT, "list"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(Path::new(PROJECT).join("recipes").is_dir());
}

#[test]
fn a_toolkit_comes_as_an_archive_too() {
    let fixture = begun();
    let place = fixture.place.path();
    let listed = |expected: Option<i32>, words: &[&str]| {
        let (code, out, err) = at(&fixture, "my-os", words);
        assert_eq!(code, expected, "{err}");
        (out, err)
    };
    // What a release of it would be, as tar and its compressors have it.
    let recipes = place.join("of-files/osbuild-1/recipes");
    std::fs::create_dir_all(&recipes).unwrap();
    std::fs::create_dir_all(place.join("of-files/osbuild-1/variants/none")).unwrap();
    std::fs::write(place.join("of-files/osbuild-1/variants/none/x"), "").unwrap();
    std::fs::write(
        recipes.join("default.nix"),
        "{ extraVariants ? { }, ... }: { variants = { ours = 1; } // extraVariants; pkgs = { }; lib = { }; }",
    )
    .unwrap();
    std::os::unix::fs::symlink("default.nix", recipes.join("also.nix")).unwrap();
    let packed = |name: &str, option: &str, what: &str| {
        let mut tar = Command::new("tar");
        tar.args(["-C", "of-files", option, "-cf", name, what]).current_dir(place);
        assert!(tar.status().unwrap().success());
        sha256_of(place, name)
    };
    for (name, option) in
        [("t.tar.gz", "-z"), ("t.tar.xz", "-J"), ("t.tar.zst", "--zstd"), ("t.tar", "--numeric-owner")]
    {
        let hash = packed(name, option, "osbuild-1");
        lock(&fixture, &format!("[toolkit]\narchive = \"../{name}\"\nhash = \"{hash}\"\n"));
        assert_eq!(listed(Some(0), &["list", "variants"]).0, "my-os\nours\n");
        // From now on it needs nobody.
        std::fs::remove_file(place.join(name)).unwrap();
        let (out, err) = listed(Some(0), &["list", "variants"]);
        assert_eq!((out.as_str(), err.as_str()), ("my-os\nours\n", ""));
        let tree = place.join("home/cache/trees").join(&hash);
        assert_eq!(std::fs::read_link(tree.join("recipes/also.nix")).unwrap(), Path::new("default.nix"));
    }
    // A repository begun from there has the same toolkit.
    let (_, err) = listed(Some(0), &["init", "other", "--base", "ours"]);
    assert!(!err.contains("submodule"), "{err}");
    let text = std::fs::read_to_string(place.join("my-os/other/osbuild.lock")).unwrap();
    in_order(&text, &["[toolkit]\n", "archive = \"file://", "t.tar\"\n", "hash = \"sha256-"]);
    assert_eq!(at(&fixture, "my-os/other", &["list", "variants"]).1, "other\nours\n");

    // Nothing is unpacked that is not what it should be, and nothing is left of it.
    let hash = packed("t.tar", "--numeric-owner", "osbuild-1");
    let wrong = hash.replace(|c| c != '0', "0");
    lock(&fixture, &format!("[toolkit]\narchive = \"../t.tar\"\nhash = \"{wrong}\"\n"));
    let (_, err) = listed(Some(3), &["list"]);
    in_order(&err, &["hash mismatch", "t.tar", "expected", "got"]);
    let folder = packed("t.tar", "--numeric-owner", "osbuild-1/variants");
    lock(&fixture, &format!("[toolkit]\narchive = \"../t.tar\"\nhash = \"{folder}\"\n"));
    in_order(&listed(Some(2), &["list"]).1, &["osbuild.lock: file://", "t.tar is no toolkit", "hint: "]);
    std::fs::write(place.join("of-files/text"), "no archive\n").unwrap();
    let escaped = packed("t.tar", "--transform=s,^text,../text,", "text");
    let text = sha256_of(place, "of-files/text");
    for (archive, hash, expected) in [
        ("../t.tar", &escaped, "t.tar: ../text: it leads out of the archive"),
        ("../of-files/text", &text, "of-files/text: "),
    ] {
        lock(&fixture, &format!("[toolkit]\narchive = \"{archive}\"\nhash = \"{hash}\"\n"));
        in_order(&listed(Some(1), &["list"]).1, &[expected]);
        assert!(!place.join("home/cache/trees").join(hash).exists());
    }
    // What nobody has used for a month is collected, and fetched again when it is wanted.
    let hash = packed("t.tar", "--numeric-owner", "osbuild-1");
    let tree = place.join("home/cache/trees").join(&hash);
    lock(&fixture, &format!("[toolkit]\narchive = \"../t.tar\"\nhash = \"{hash}\"\n"));
    assert_eq!(listed(Some(0), &["list", "variants"]).0, "my-os\nours\n");
    let collected = |dry_run: &[&str], expected: &str| {
        let words = [&["store", "gc"], dry_run].concat();
        assert!(listed(Some(0), &words).0.ends_with(&format!(" {expected} leftovers\n")));
    };
    let gets_old = || {
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(31 * 24 * 3600);
        std::fs::File::open(&tree).unwrap().set_modified(then).unwrap();
    };
    gets_old();
    assert_eq!(listed(Some(0), &["list", "variants"]).0, "my-os\nours\n");
    collected(&[], "0");
    gets_old();
    collected(&["--dry-run"], "1");
    assert!(tree.exists());
    collected(&[], "1");
    assert!(!tree.exists());
    assert_eq!(listed(Some(0), &["list", "variants"]).0, "my-os\nours\n");
    assert!(tree.exists());

    let trees = std::fs::read_dir(place.join("home/cache/trees")).unwrap();
    assert_eq!(
        trees.filter(|entry| entry.as_ref().unwrap().file_name().as_encoded_bytes()[0] == b'.').count(),
        0
    );
}
