//! Malformed `.drv` files. Every case is refused, whatever it says in little
//! memory, and whatever real Nix refuses is refused here.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use osbuild_core::derivation::Derivation;
use osbuild_core::derivation::aterm::{AtermError, from_aterm, to_aterm};
use osbuild_store::StoreDir;

#[path = "../../store/tests/malformed/bounded.rs"]
mod bounded;
#[path = "../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;

/// One line in the file; what stands in the store stands in `/STORE` here.
const SAMPLE: &str = concat!(
    r#"Derive([("bin","/STORE/0000000000000000000000000000000a-x-bin","",""),"#,
    r#"("dev","","r:sha256",""),"#,
    r#"("doc","/STORE/0000000000000000000000000000000b-x-doc","r:sha1","da39a3ee5e6b4b0d3255bfef95601890afd80709"),"#,
    r#"("out","","","")],"#,
    r#"[("/STORE/00000000000000000000000000000001-a.drv",["dev","out"]),"#,
    r#"("/STORE/00000000000000000000000000000002-b.drv",["out"])],"#,
    r#"["/STORE/00000000000000000000000000000003-c","/STORE/00000000000000000000000000000004-d"],"#,
    r#""x86_64-linux","/bin/sh",["-c","echo \"a\\b\"\n"],"#,
    r#"[("a","1"),("b","\t2")])"#,
);

/// Name of the case; what stands in the sample; what stands there instead.
const MALFORMED: &[(&str, &str, &str)] = &[
    ("word-of-another-kind", "Derive(", "DrvWithVersion(\"xp-dyn-drv\","),
    ("word-in-small-letters", "Derive(", "derive("),
    ("blank-in-front", "Derive(", " Derive("),
    ("mark-of-byte-order", "Derive(", "\u{feff}Derive("),
    ("blank-between", "],[", "], ["),
    ("newline-between", "],[", "],\n["),
    ("newline-behind", "\"\\t2\")])", "\"\\t2\")])\n"),
    ("more-behind", "\"\\t2\")])", "\"\\t2\")])x"),
    ("twice", "\"\\t2\")])", "\"\\t2\")])Derive([],[],[],\"\",\"\",[],[])"),
    ("list-with-a-comma-behind", "\"\\t2\")])", "\"\\t2\"),])"),
    ("list-with-a-comma-in-front", "[\"-c\"", "[,\"-c\""),
    ("list-with-two-commas", "\"-c\",", "\"-c\",,"),
    ("list-without-commas", "\"-c\",", "\"-c\""),
    ("list-not-closed", "\"\\t2\")])", "\"\\t2\"))"),
    ("lists-within-lists", "[\"-c\"", "[[\"-c\""),
    ("parenthesis-not-closed", "\"\\t2\")])", "\"\\t2\"])"),
    ("string-not-quoted", "\"-c\"", "-c"),
    ("string-in-single-quotes", "\"-c\"", "'-c'"),
    ("string-not-closed", "\"-c\",", "\"-c,"),
    ("fields-too-few", "\"x86_64-linux\",", ""),
    ("fields-too-many", "\"x86_64-linux\",", "\"x86_64-linux\",\"\","),
    ("escape-of-no-kind", "\\t2", "\\v2"),
    ("escape-by-number", "\\t2", "\\0112"),
    ("escape-not-needed", "(\"a\",\"1\")", "(\"a\",\"\\1\")"),
    ("escape-of-the-quote-behind", "\\t2\"", "\\t2\\\""),
    ("tab-not-escaped", "\\t2", "\t2"),
    ("newline-not-escaped", "\\t2", "\n2"),
    ("return-not-escaped", "\\t2", "\r2"),
    ("system-with-escape", "x86_64-linux", "x86_64\\nlinux"),
    ("path-with-escape", "0001-a.drv", "0001-\\a.drv"),
    ("outputs-descend", "(\"dev\",\"\",\"r", "(\"aaa\",\"\",\"r"),
    ("output-twice", "(\"dev\",\"\",\"r", "(\"bin\",\"\",\"r"),
    ("output-name-empty", "(\"bin\"", "(\"\""),
    ("output-name-with-slash", "(\"bin\"", "(\"b/n\""),
    ("output-name-climbs", "(\"bin\"", "(\"..\""),
    ("output-name-with-nul", "(\"bin\"", "(\"b\0n\""),
    ("output-name-with-blank", "(\"bin\"", "(\"b n\""),
    ("output-with-three-fields", "\"\",\"\"),(\"dev\"", "\"\"),(\"dev\""),
    ("output-with-five-fields", "\"\",\"\"),(\"dev\"", "\"\",\"\",\"\"),(\"dev\""),
    (
        "output-path-not-absolute",
        "\"/STORE/0000000000000000000000000000000a",
        "\"0000000000000000000000000000000a",
    ),
    (
        "output-path-elsewhere",
        "\"/STORE/0000000000000000000000000000000a",
        "\"/gnu/store/0000000000000000000000000000000a",
    ),
    (
        "output-path-climbs",
        "/STORE/0000000000000000000000000000000a",
        "/STORE/../0000000000000000000000000000000a",
    ),
    ("output-path-below-an-object", "000a-x-bin", "000a-x-bin/bin"),
    ("output-path-of-no-digest", "0000000000000000000000000000000a-x-bin", "x-bin"),
    (
        "output-path-of-wrong-letters",
        "0000000000000000000000000000000a-x-bin",
        "000000000000000000000000000000ea-x-bin",
    ),
    ("output-path-without-name", "000a-x-bin", "000a-"),
    ("output-path-with-nul", "000a-x-bin", "000a-x\0bin"),
    ("output-hash-without-algorithm", "\"r:sha1\"", "\"\""),
    ("output-hash-of-unknown-algorithm", "\"r:sha1\"", "\"r:md4\""),
    ("output-hash-of-another-length", "\"r:sha1\"", "\"r:sha256\""),
    ("output-hash-cut", "afd80709", "afd8070"),
    ("output-hash-in-capitals", "afd80709", "AFD80709"),
    ("output-hash-of-no-digits", "afd80709", "afd8070g"),
    (
        "output-hash-in-base-32",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "143xibwh31h9bvxzalr0sjvbbvpa6ffs",
    ),
    ("output-hash-without-path", "\"/STORE/0000000000000000000000000000000b-x-doc\"", "\"\""),
    ("output-by-text", "\"r:sha256\",\"\"", "\"text:sha256\",\"\""),
    ("output-by-git", "\"r:sha256\",\"\"", "\"git:sha1\",\"\""),
    ("output-impure", "\"r:sha256\",\"\"", "\"r:sha256\",\"impure\""),
    ("output-by-method-only", "\"r:sha256\"", "\"r:\""),
    (
        "output-floating-with-path",
        "(\"dev\",\"\"",
        "(\"dev\",\"/STORE/0000000000000000000000000000000c-x-dev\"",
    ),
    ("inputs-descend", "00000000000000000000000000000002-b.drv", "00000000000000000000000000000000-b.drv"),
    ("input-twice", "00000000000000000000000000000002-b.drv", "00000000000000000000000000000001-a.drv"),
    (
        "input-not-absolute",
        "\"/STORE/00000000000000000000000000000001-a",
        "\"00000000000000000000000000000001-a",
    ),
    (
        "input-elsewhere",
        "\"/STORE/00000000000000000000000000000001-a",
        "\"/gnu/store/00000000000000000000000000000001-a",
    ),
    (
        "input-climbs",
        "/STORE/00000000000000000000000000000001-a",
        "/STORE/../STORE/00000000000000000000000000000001-a",
    ),
    ("input-of-no-digest", "/STORE/00000000000000000000000000000001-a", "/STORE/a"),
    ("input-outputs-descend", "[\"dev\",\"out\"]", "[\"out\",\"dev\"]"),
    ("input-output-twice", "[\"dev\",\"out\"]", "[\"out\",\"out\"]"),
    ("input-output-name-empty", "[\"dev\",\"out\"]", "[\"\",\"out\"]"),
    ("input-with-outputs-of-outputs", "[\"dev\",\"out\"]", "([\"dev\",\"out\"],[])"),
    ("input-without-list", "[\"dev\",\"out\"]", "\"dev\""),
    ("sources-descend", "00000000000000000000000000000004-d", "00000000000000000000000000000000-d"),
    ("source-twice", "00000000000000000000000000000004-d", "00000000000000000000000000000003-c"),
    (
        "source-not-absolute",
        "\"/STORE/00000000000000000000000000000004-d",
        "\"00000000000000000000000000000004-d",
    ),
    ("source-below-an-object", "0004-d", "0004-d/e"),
    ("source-name-dot-dot", "0004-d", "0004-.."),
    (
        "source-name-of-212-bytes",
        "0004-d",
        concat!(
            "0004-",
            "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
            "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
        ),
    ),
    ("environment-descends", "(\"a\",\"1\")", "(\"c\",\"1\")"),
    ("environment-twice", "(\"a\",\"1\")", "(\"b\",\"1\")"),
    ("environment-without-value", "(\"a\",\"1\")", "(\"a\")"),
    ("environment-with-two-values", "(\"a\",\"1\")", "(\"a\",\"1\",\"2\")"),
];

fn at(text: &str, store_dir: &StoreDir) -> Vec<u8> {
    text.replace("/STORE", store_dir.as_str()).into_bytes()
}

fn bent(from: &str, to: &str) -> String {
    let bent = SAMPLE.replacen(from, to, 1);
    assert_ne!(bent, SAMPLE, "{from:?} stands in the sample");
    bent
}

fn read(text: &[u8]) -> Result<Derivation, AtermError> {
    from_aterm(text, &StoreDir::default())
}

#[test]
fn the_sample_is_read() {
    let dir = StoreDir::default();
    let text = at(SAMPLE, &dir);
    let derivation = read(&text).expect("nothing is wrong with it");
    assert_eq!(to_aterm(&derivation, &dir), text);
    // What no shell would like is still a string.
    for (from, to) in [("\\t2", "\0\u{1}\u{7f}ü"), ("(\"a\"", "(\"\""), ("\"/bin/sh\"", "\"\"")] {
        let text = at(&bent(from, to), &dir);
        assert_eq!(to_aterm(&read(&text).expect("read"), &dir), text, "{to:?}");
    }
    let not_utf_8 =
        [b"Derive([],[],[],\"".as_slice(), b"\xff\",\"\xfe\",[\"\xff\"],[(\"\xff\",\"\xfe\")])"].concat();
    read(&not_utf_8).expect("strings are bytes");
}

#[test]
fn malformed_ones_are_refused_in_little_memory() {
    bounded::in_little_memory("malformed_ones_are_refused_in_little_memory", || {
        let dir = StoreDir::default();
        for (name, from, to) in MALFORMED {
            assert!(read(&at(&bent(from, to), &dir)).is_err(), "{name}: accepted");
        }
        let sample = at(SAMPLE, &dir);
        for length in 0..sample.len() {
            assert!(read(&sample[..length]).is_err(), "cut at {length}: accepted");
        }
        for (name, text) in [
            ("lists-within-lists", "[".repeat(1_000_000)),
            ("derivations-within-derivations", "Derive(".repeat(1_000_000)),
            ("lists-in-arguments", format!("Derive([],[],[],\"\",\"\",{}", "[".repeat(1_000_000))),
            ("pairs-within-pairs", format!("Derive({}", "[(".repeat(1_000_000))),
            ("a-string-without-end", format!("Derive([],[],[],\"\",\"{}", "x".repeat(1 << 20))),
            ("a-system-without-end", format!("Derive([],[],[],\"{}", "x".repeat(1 << 20))),
        ] {
            assert!(read(text.as_bytes()).is_err(), "{name}: accepted");
        }
    });
}

/// Whether real Nix takes a derivation into a store of its own, for which it
/// reads it; `None` without a judge.
fn nix_reads(place: &Path, name: &str, text: &[u8]) -> Option<bool> {
    let file = place.join(format!("store/0000000000000000000000000000000d-{name}.drv"));
    fs::write(&file, text).expect("written");
    let mut nix = judge::judge("nix-store")?;
    nix.args(["--extra-experimental-features", "ca-derivations", "--register-validity"])
        .env("NIX_STORE_DIR", place.join("store"))
        .env("NIX_STATE_DIR", place.join("state"))
        .env("NIX_LOG_DIR", place.join("log"))
        .env("NIX_CONF_DIR", place)
        .env("HOME", place)
        .stdin(Stdio::piped())
        .stderr(Stdio::null());
    let mut nix = nix.spawn().expect("the judge starts");
    // The path, no deriver, no references.
    let mut input = nix.stdin.take().expect("piped");
    writeln!(input, "{}\n\n0", file.display()).expect("the judge reads");
    drop(input);
    Some(nix.wait().expect("the judge ends").success())
}

/// Only where nothing but the text counts: Nix computes the paths of outputs
/// that are named by their inputs or hashes as well.
#[test]
fn what_nix_refuses_to_read_is_refused() {
    let place = tempfile::tempdir().expect("a temporary directory");
    // Nix does not like links on the way to its store.
    let place = place.path().canonicalize().expect("it is there");
    fs::create_dir(place.join("store")).expect("made");
    let dir = StoreDir::new(place.join("store").to_str().expect("UTF-8"));
    let (from, to) = (SAMPLE.find("(\"bin\"").expect("there"), SAMPLE.find(",[(\"/STORE").expect("there"));
    let floating = format!("{}(\"out\",\"\",\"r:sha256\",\"\")]{}", &SAMPLE[..from], &SAMPLE[to..]);
    let floating = at(&floating, &dir);
    from_aterm(&floating, &dir).expect("a sample as good as the other");
    let Some(taken) = nix_reads(&place, "sample", &floating) else { return };
    assert!(taken, "Nix reads the sample");
    let (mut lenient, mut refused) = (0, 0);
    for index in (0..floating.len()).step_by(3) {
        let mut text = floating.clone();
        // To another letter, digit or sign.
        text[index] ^= 5;
        let ours = from_aterm(&text, &dir).is_ok();
        let theirs = nix_reads(&place, &format!("bent-{index}"), &text).expect("it was there a moment ago");
        assert!(theirs || !ours, "byte {index} bent: Nix refuses {}", String::from_utf8_lossy(&text));
        lenient += usize::from(theirs && !ours);
        refused += usize::from(!theirs);
    }
    println!("Nix refuses {refused}, and takes {lenient} that are refused here");
    assert!(refused > 20, "{refused}");
}
