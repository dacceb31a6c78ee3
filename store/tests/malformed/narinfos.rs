//! What caches say of objects, and should not.

use std::path::Path;

use osbuild_store::StoreDir;
use osbuild_store::narinfo::{MAX_BYTES, NarInfo, NarInfoError};

use crate::bounded::in_little_memory;
use crate::judge::judge;

/// As Nix writes it, one field a line.
const SAMPLE: &str = "StorePath: /nix/store/00000000000000000000000000000001-hello
URL: nar/0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73.nar.xz
Compression: xz
FileHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73
FileSize: 12
NarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73
NarSize: 120
References: 00000000000000000000000000000001-hello 00000000000000000000000000000002-libc
Deriver: 00000000000000000000000000000003-hello.drv
";

/// Name of the case; what stands in the sample; what stands there instead.
const MALFORMED: &[(&str, &str, &str)] = &[
    ("path-absent", "StorePath: /nix/store/00000000000000000000000000000001-hello\n", ""),
    ("path-twice", "URL", "StorePath: /nix/store/00000000000000000000000000000001-hello\nURL"),
    ("path-empty", "/nix/store/00000000000000000000000000000001-hello\n", "\n"),
    ("path-without-directory", "StorePath: /nix/store/", "StorePath: "),
    ("path-of-another-directory", "StorePath: /nix/store/", "StorePath: /gnu/store/"),
    ("path-is-the-directory", "/00000000000000000000000000000001-hello\n", "\n"),
    ("path-below-an-object", "01-hello\nURL", "01-hello/bin\nURL"),
    ("path-climbs", "StorePath: /nix/store/", "StorePath: /nix/store/../store/"),
    ("path-with-two-slashes", "StorePath: /nix/store/", "StorePath: /nix/store//"),
    ("path-name-dot-dot", "01-hello\nURL", "01-..\nURL"),
    ("path-name-empty", "01-hello\nURL", "01-\nURL"),
    ("path-without-name", "01-hello\nURL", "01\nURL"),
    ("path-digest-too-short", "StorePath: /nix/store/0", "StorePath: /nix/store/"),
    ("path-digest-of-wrong-letters", "StorePath: /nix/store/0", "StorePath: /nix/store/e"),
    ("path-with-carriage-return", "01-hello\nURL", "01-hello\r\nURL"),
    ("path-with-nul", "01-hello\nURL", "01-hel\0lo\nURL"),
    ("path-with-a-blank-behind", "01-hello\nURL", "01-hello \nURL"),
    ("url-absent", "URL: nar/0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73.nar.xz\n", ""),
    ("url-empty", "nar/0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73.nar.xz", ""),
    ("url-twice", "Compression", "URL: nar/x\nCompression"),
    ("url-climbs", "URL: nar/", "URL: ../nar/"),
    ("url-climbs-later", "URL: nar/", "URL: nar/../../"),
    ("url-climbs-encoded", "URL: nar/", "URL: nar/%2e%2e/"),
    ("url-climbs-encoded-slash", "URL: nar/", "URL: ..%2fnar/"),
    ("url-climbs-with-backslash", "URL: nar/", "URL: ..\\nar/"),
    ("url-climbs-in-a-query", "URL: nar/", "URL: nar/x?/../../../etc/"),
    ("url-ends-in-dots", ".nar.xz\n", ".nar.xz/..\n"),
    ("url-absolute", "URL: nar/", "URL: /etc/"),
    ("url-of-another-host", "URL: nar/", "URL: https://elsewhere.invalid/"),
    ("url-of-another-host-in-short", "URL: nar/", "URL: //elsewhere.invalid/"),
    ("url-of-a-file", "URL: nar/", "URL: file:///etc/"),
    ("url-with-fragment", ".nar.xz\n", ".nar.xz#x\n"),
    ("url-with-blank", "URL: nar/", "URL: nar /"),
    ("url-with-carriage-return", ".nar.xz\n", ".nar.xz\r\n"),
    ("url-with-nul", ".nar.xz\n", ".nar.xz\0\n"),
    ("url-with-escape-of-a-terminal", ".nar.xz\n", ".nar.xz\x1b[2J\n"),
    ("compression-unknown", "Compression: xz", "Compression: rot13"),
    ("compression-empty", "Compression: xz", "Compression: "),
    ("compression-of-old", "Compression: xz\n", ""),
    ("compression-twice", "Compression: xz", "Compression: xz\nCompression: xz"),
    ("compression-in-capitals", "Compression: xz", "Compression: XZ"),
    ("file-hash-of-no-kind", "FileHash: sha256:", "FileHash: "),
    ("file-hash-cut", "FileHash: sha256:0", "FileHash: sha256:"),
    (
        "file-hash-twice",
        "FileSize",
        "FileHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\nFileSize",
    ),
    ("file-size-no-number", "FileSize: 12", "FileSize: many"),
    ("file-size-negative", "FileSize: 12", "FileSize: -12"),
    ("file-size-twice", "FileSize: 12", "FileSize: 12\nFileSize: 13"),
    ("hash-absent", "NarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\n", ""),
    ("hash-empty", "NarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\n", "NarHash: \n"),
    (
        "hash-twice",
        "NarSize",
        "NarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\nNarSize",
    ),
    ("hash-cut", "NarHash: sha256:0", "NarHash: sha256:"),
    ("hash-too-long", "NarHash: sha256:0", "NarHash: sha256:00"),
    ("hash-of-unknown-kind", "NarHash: sha256:", "NarHash: md4:"),
    (
        "hash-of-another-kind",
        "NarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
        "NarHash: sha1:kpcd173cq987hw957sx6m0868wv3x6d9",
    ),
    ("hash-with-carriage-return", "c73\nNarSize", "c73\r\nNarSize"),
    ("size-absent", "NarSize: 120\n", ""),
    ("size-empty", "NarSize: 120", "NarSize: "),
    ("size-zero", "NarSize: 120", "NarSize: 0"),
    ("size-negative", "NarSize: 120", "NarSize: -120"),
    ("size-with-sign", "NarSize: 120", "NarSize: +120"),
    ("size-beyond-64-bits", "NarSize: 120", "NarSize: 18446744073709551616"),
    ("size-absurd", "NarSize: 120", "NarSize: 9223372036854775808"),
    ("size-hexadecimal", "NarSize: 120", "NarSize: 0x78"),
    ("size-with-fraction", "NarSize: 120", "NarSize: 120.0"),
    ("size-with-unit", "NarSize: 120", "NarSize: 120k"),
    ("size-with-blank", "NarSize: 120", "NarSize:  120"),
    ("size-with-blank-behind", "NarSize: 120", "NarSize: 120 "),
    ("size-in-other-digits", "NarSize: 120", "NarSize: \u{661}\u{662}"),
    ("size-with-carriage-return", "NarSize: 120", "NarSize: 120\r"),
    ("size-twice", "NarSize: 120", "NarSize: 120\nNarSize: 120"),
    ("references-twice", "Deriver", "References: 00000000000000000000000000000002-libc\nDeriver"),
    ("references-climb", "02-libc\n", "02-libc ../../etc\n"),
    ("references-absolute", "References: 0", "References: /nix/store/0"),
    ("references-with-a-slash", "02-libc\n", "02-libc/lib\n"),
    ("references-of-no-digest", "02-libc\n", "02-libc libm\n"),
    ("references-with-tab", "01-hello 0", "01-hello\t0"),
    ("references-with-carriage-return", "02-libc\n", "02-libc\r\n"),
    (
        "references-with-carriage-return-only",
        "00000000000000000000000000000001-hello 00000000000000000000000000000002-libc\n",
        "\r\n",
    ),
    ("references-with-form-feed", "01-hello 0", "01-hello\x0c0"),
    ("references-with-nul", "02-libc\n", "02-libc\0\n"),
    ("deriver-absolute", "Deriver: 0", "Deriver: /nix/store/0"),
    ("deriver-climbs", "Deriver: 0", "Deriver: ../0"),
    ("deriver-of-no-digest", "Deriver: 00000000000000000000000000000003-", "Deriver: "),
    ("deriver-with-carriage-return", "03-hello.drv\n", "03-hello.drv\r\n"),
    ("deriver-twice", "Deriver", "Deriver: unknown-deriver\nDeriver"),
    ("signature-without-name", "Deriver", "Sig: AAAA\nDeriver"),
    ("signature-of-no-base64", "Deriver", "Sig: key:***\nDeriver"),
    ("signature-too-short", "Deriver", "Sig: key:AAAA\nDeriver"),
    ("signature-empty", "Deriver", "Sig: \nDeriver"),
    ("address-of-unknown-kind", "Deriver", "CA: git:sha1:kpcd173cq987hw957sx6m0868wv3x6d9\nDeriver"),
    ("address-of-no-hash", "Deriver", "CA: fixed:r:\nDeriver"),
    (
        "address-twice",
        "Deriver",
        "CA: text:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\nCA: text:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\nDeriver",
    ),
    ("line-without-colon", "Compression: xz", "Compression xz"),
    ("line-with-equals-sign", "Compression: xz", "Compression=xz"),
    ("line-without-blank", "Compression: xz", "Compression:xz"),
    ("line-empty", "Compression: xz\n", "Compression: xz\n\n"),
    ("line-cut", "03-hello.drv\n", "03-hello.drv"),
    ("lines-ended-by-carriage-returns", "Compression: xz\n", "Compression: xz\rFileSize: 12\r"),
    ("mark-of-byte-order", "StorePath", "\u{feff}StorePath"),
    ("fields-in-small-letters", "StorePath", "storepath"),
];

fn parse(text: &[u8]) -> Result<NarInfo, NarInfoError> {
    NarInfo::parse(text, &StoreDir::default())
}

fn bent(from: &str, to: &str) -> String {
    let bent = SAMPLE.replacen(from, to, 1);
    assert_ne!(bent, SAMPLE, "{from:?} stands in the sample");
    bent
}

#[test]
fn the_sample_is_read() {
    let info = parse(SAMPLE.as_bytes()).expect("nothing is wrong with it");
    assert_eq!(info.to_text(&StoreDir::default()), SAMPLE);
    for (from, to) in [
        ("Deriver", "Future: anything: at all\nDeriver"),
        ("Deriver", "Future:\nDeriver"),
        ("Deriver: 00000000000000000000000000000003-hello.drv", "Deriver: unknown-deriver"),
        ("00000000000000000000000000000001-hello 00000000000000000000000000000002-libc", ""),
    ] {
        parse(bent(from, to).as_bytes()).expect("caches may say this");
    }
}

#[test]
fn malformed_ones_are_refused_in_little_memory() {
    in_little_memory("narinfos::malformed_ones_are_refused_in_little_memory", || {
        for (name, from, to) in MALFORMED {
            assert!(parse(bent(from, to).as_bytes()).is_err(), "{name}: accepted");
        }
        for (name, bytes) in [
            ("nothing", &b""[..]),
            ("not-utf-8", b"StorePath: \xff\n"),
            ("field-not-utf-8", b"\xff: x\n"),
            ("an-archive", b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0"),
        ] {
            assert!(parse(bytes).is_err(), "{name}: accepted");
        }
        for length in 0..SAMPLE.len() {
            // Only the last two lines can be missed: they need not be there.
            let complete = ["NarSize: 120\n", "-libc\n"].iter().any(|end| SAMPLE[..length].ends_with(end));
            assert_eq!(parse(&SAMPLE.as_bytes()[..length]).is_ok(), complete, "cut at {length}");
        }
        // As large as may be: lines, references, signatures, one long line.
        let fill = |unit: &str| unit.repeat((MAX_BYTES - SAMPLE.len() - 100) / unit.len());
        for (name, text) in [
            ("fields", format!("{SAMPLE}{}", fill("Future: x\n"))),
            (
                "references",
                SAMPLE.replace(
                    "02-libc\n",
                    &format!("02-libc{}\n", fill(" 00000000000000000000000000000003-x")),
                ),
            ),
            ("line", format!("{SAMPLE}Future: {}\n", fill("x"))),
        ] {
            assert!(parse(text.as_bytes()).is_ok(), "{name}: refused");
        }
        assert_eq!(parse(&vec![b'\n'; MAX_BYTES + 1]), Err(NarInfoError::TooLarge));
    });
}

/// Whether real Nix believes that a cache has the object that a description
/// is of; `None` without a judge.
fn nix_reads(place: &Path, name: &str, text: &[u8]) -> Option<bool> {
    let cache = place.join(name);
    std::fs::create_dir(&cache).expect("made");
    std::fs::write(cache.join("nix-cache-info"), "StoreDir: /nix/store\n").expect("written");
    std::fs::write(cache.join("00000000000000000000000000000001.narinfo"), text).expect("written");
    let mut nix = judge("nix")?;
    nix.args(["--extra-experimental-features", "nix-command", "path-info", "--json", "--store"])
        .arg(format!("file://{}", cache.display()))
        .arg("/nix/store/00000000000000000000000000000001-hello")
        .env("NIX_STATE_DIR", place.join("state"))
        .env("HOME", &cache);
    let output = nix.output().expect("the judge starts");
    // It says `null` of an object that a cache does not have.
    Some(output.status.success() && !String::from_utf8_lossy(&output.stdout).contains("null}"))
}

#[test]
fn what_nix_refuses_to_read_is_refused() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let Some(read) = nix_reads(place.path(), "sample", SAMPLE.as_bytes()) else { return };
    assert!(read, "Nix reads the sample");
    let mut lenient = Vec::new();
    for (name, from, to) in MALFORMED {
        let text = bent(from, to);
        let ours = parse(text.as_bytes()).is_ok();
        let theirs = nix_reads(place.path(), name, text.as_bytes()).expect("it was there a moment ago");
        assert!(theirs || !ours, "{name}: Nix refuses it");
        if theirs {
            lenient.push(*name);
        }
    }
    println!("Nix accepts {lenient:?}");
    let refused = MALFORMED.len() - lenient.len();
    assert!(refused > 30, "Nix refuses only {refused}, accepts {lenient:?}");
}
