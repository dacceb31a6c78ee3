//! `osbuild store` word by word: what it prints, how it ends, and what it says
//! to those who use it wrongly.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use osbuild_core::derivation::placeholder;
use osbuild_store::StorePath;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::fixture::{Fixture, floating};

/// A tree, and another one with a file that names it, and nothing else in the
/// store; their names.
fn two(fixture: &Fixture) -> (String, String) {
    let (base, base_file) = fixture.tree("base", json!({ "a": { "text": "A" } }));
    let text = format!("see {}", placeholder::upstream_output(&base, "out"));
    let files = json!({ "files": { "bin/x": { "text": text } } });
    let (_, file) = fixture.derivation("write-tree", "user", files, floating(), &[&base]);
    let build = |words: &[&str], file: &str| {
        let out = fixture.succeeds(&[&["build", file], words].concat());
        let name = out.trim_end().rsplit('/').next().expect("a path").to_owned();
        StorePath::parse(&name).expect("an object").to_string()
    };
    let both = (build(&["--no-link"], &base_file), build(&[], &file));
    // What they were made from goes: nothing keeps it.
    assert!(fixture.succeeds(&["store", "gc"]).starts_with("removed 2 objects"));
    both
}

/// The command in another store, with these variables.
fn elsewhere(fixture: &Fixture, words: &[&str], variables: &[(&str, &str)]) -> (String, String, i32) {
    let home = fixture.place.path().join("elsewhere");
    let mut command = fixture.command(words);
    command.env("OSBUILD_HOME", home).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let clean = |bytes: Vec<u8>| {
        String::from_utf8(bytes).unwrap().replace(fixture.place.path().to_str().unwrap(), "PLACE")
    };
    (clean(output.stdout), clean(output.stderr), output.status.code().unwrap_or(-1))
}

/// Each command line; what it says on standard error, all of it; how it ends.
fn refuses(fixture: &Fixture, cases: &[(&[&str], &str, i32)]) {
    for (words, expected, code) in cases {
        let (out, err, actual) = fixture.run(words);
        assert_eq!((out.as_str(), err.as_str(), actual), ("", *expected, *code), "{words:?}");
    }
}

/// As [`refuses`], where the rest is the parser's own explanation.
fn is_used_wrongly(fixture: &Fixture, cases: &[(&[&str], &str)]) {
    for (words, expected) in cases {
        let (out, err, code) = fixture.run(words);
        assert_eq!((out.as_str(), code), ("", 2), "{words:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains(expected), "{words:?}: {err}");
    }
}

#[test]
fn objects_are_copied_there_and_back() {
    let fixture = Fixture::new();
    let (base, user) = two(&fixture);
    let logical = format!("/nix/store/{user}");
    let out = fixture.succeeds(&["store", "copy", "--to", "cache", &logical]);
    assert_eq!(out, "sent 2 objects (0 KiB) and the results of 2 builds to file://PLACE/cache; it had 0\n");
    let out = fixture.succeeds(&["store", "copy", "--to", "cache", "result"]);
    assert_eq!(out, "sent 0 objects (0 KiB) and the results of 2 builds to file://PLACE/cache; it had 2\n");

    let (out, err, code) = elsewhere(&fixture, &["store", "copy", "--from", "cache", &logical], &[]);
    assert_eq!((out.as_str(), err.as_str(), code), ("fetched 2 objects from cache\n", "", 0));
    let (out, _, code) = elsewhere(&fixture, &["store", "copy", "--from", "cache", "--json", &logical], &[]);
    assert_eq!((out.as_str(), code), ("{\"cache\":\"cache\",\"fetched\":[],\"schema\":1}\n", 0));
    let (out, _, code) = elsewhere(&fixture, &["store", "closure", &logical], &[]);
    let mut both = [format!("/nix/store/{base}\n"), format!("/nix/store/{user}\n")];
    both.sort();
    assert_eq!((out, code), (both.concat(), 0));
    let (out, _, code) = elsewhere(&fixture, &["store", "verify"], &[]);
    assert_eq!((out.as_str(), code), ("2 objects, 0 problems\n", 0));
}

#[test]
fn what_is_wrong_with_a_copy_is_said() {
    let fixture = Fixture::new();
    let (_, user) = two(&fixture);
    let logical = format!("/nix/store/{user}");
    let absent = "/nix/store/00000000000000000000000000000001-absent";
    fixture.succeeds(&["store", "copy", "--to", "cache", "--uncompressed", &logical]);
    refuses(
        &fixture,
        &[
            (
                &["store", "copy", "--to", "cache", absent],
                "error: 00000000000000000000000000000001-absent is not in the store\n",
                1,
            ),
            (
                &["store", "copy", "--from", "cache", absent],
                "error: the cache cache has no 00000000000000000000000000000001-absent to believe\n",
                1,
            ),
            (
                &["store", "copy", "--from", "nowhere", absent],
                "error: the cache nowhere has no 00000000000000000000000000000001-absent to believe\n",
                1,
            ),
            (
                &["store", "copy", "--to", "ftp://h.invalid", &logical],
                "error: 'ftp://h.invalid' is no such place: expected a directory, file://, http://, https:// or s3://\n",
                2,
            ),
            (
                &["store", "copy", "--to", "cache", "/etc"],
                "error: '/etc' is no path of the store\nhint: give an object or a result link\n",
                2,
            ),
            (
                &["store", "copy", "--to", "cache", "--key", "none", &logical],
                "error: cannot use the key none: No such file or directory (os error 2)\n",
                1,
            ),
        ],
    );
    is_used_wrongly(
        &fixture,
        &[
            (&["store", "copy", &logical], "<--to <CACHE>|--from <CACHE>>"),
            (
                &["store", "copy", "--to", "a", "--from", "b", &logical],
                "'--to <CACHE>' cannot be used with '--from <CACHE>'",
            ),
            (&["store", "copy", "--to", "cache"], "<PATH>..."),
            (&["store", "copy", "--to", "cache", "--level", "20", &logical], "20 is not in 1..=19"),
            (&["store", "copy", "--from", "cache", "--uncompressed", &logical], "cannot be used with"),
            (&["store", "copy", "--from", "cache", "--level", "3", &logical], "cannot be used with"),
            (&["store", "copy", "--from", "cache", "--key", "key", &logical], "cannot be used with"),
        ],
    );
    let archives = fixture.place.path().join("cache/nar");
    for archive in std::fs::read_dir(archives).unwrap().flatten() {
        let mut bytes = std::fs::read(archive.path()).unwrap();
        bytes[0] ^= 1;
        std::fs::write(archive.path(), bytes).unwrap();
    }
    let (out, err, code) = elsewhere(&fixture, &["store", "copy", "--from", "cache", &logical], &[]);
    assert_eq!((out.as_str(), code), ("", 3), "{err}");
    assert!(err.starts_with("error: the cache file://PLACE/cache has a wrong archive of "), "{err}");
    let end = ": malformed archive at byte 24: padding is not zero\n\
        hint: nothing of it entered the store; tell whoever keeps that cache\n";
    assert!(err.ends_with(end), "{err}");
    let (out, _, _) = elsewhere(&fixture, &["store", "verify"], &[]);
    assert_eq!(out, "0 objects, 0 problems\n");
}

#[test]
fn keys_are_made_shown_and_used() {
    let fixture = Fixture::new();
    let public = fixture.succeeds(&["store", "key", "generate", "test-1", "--output", "key"]);
    assert!(public.starts_with("test-1:") && public.trim_end().len() == 7 + 44, "{public}");
    assert_eq!(fixture.succeeds(&["store", "key", "public", "key"]), public);
    let file = fixture.place.path().join("key");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(fixture.place.path().join("garbage"), "what").unwrap();
    refuses(
        &fixture,
        &[
            (
                &["store", "key", "generate", "test-1", "-o", "key"],
                "error: cannot write the key key: File exists (os error 17)\n",
                1,
            ),
            (
                &["store", "key", "generate", "a b", "-o", "new"],
                "error: a secret key is written <name>:<base64>\nhint: a name without blanks and colons\n",
                2,
            ),
            (
                &["store", "key", "generate", "", "-o", "new"],
                "error: a secret key is written <name>:<base64>\nhint: a name without blanks and colons\n",
                2,
            ),
            (
                &["store", "key", "public", "garbage"],
                "error: cannot use the key garbage: a secret key is written <name>:<base64>\n",
                1,
            ),
            (
                &["store", "key", "public", "none"],
                "error: cannot use the key none: No such file or directory (os error 2)\n",
                1,
            ),
        ],
    );
    is_used_wrongly(&fixture, &[(&["store", "key", "generate", "test-1"], "--output <FILE>")]);
    assert!(!fixture.place.path().join("new").exists(), "what is refused writes no file");

    // Named by its inputs, so that only a signature vouches for it.
    let plain = "derivation { name = \"plain\"; system = \"builtin\"; builder = \"builtin:write-tree\"; __json = builtins.toJSON { name = \"plain\"; builtinVersion = \"1\"; files.a.text = \"A\"; }; }";
    std::fs::write(fixture.place.path().join("plain.nix"), plain).unwrap();
    let built = fixture.succeeds(&["build", "./plain.nix"]);
    let logical = format!("/nix/store/{}", built.trim_end().rsplit('/').next().unwrap());
    let trusted = [("OSBUILD_TRUSTED_PUBLIC_KEYS", public.trim_end())];
    fixture.succeeds(&["store", "copy", "--to", "cache", "result"]);
    let (_, err, code) = elsewhere(&fixture, &["store", "copy", "--from", "cache", &logical], &trusted);
    assert!(
        err.contains("but no trusted key signed it\nerror: the cache cache has no ") && code == 1,
        "{err}"
    );
    fixture.succeeds(&["store", "copy", "--to", "signed", "--key", "key", "result"]);
    let (_, err, code) = elsewhere(&fixture, &["store", "copy", "--from", "signed", &logical], &[]);
    assert!(err.contains("but no trusted key signed it") && code == 1, "{err}");
    let (out, _, code) = elsewhere(&fixture, &["store", "copy", "--from", "signed", &logical], &trusted);
    assert_eq!((out.as_str(), code), ("fetched 1 objects from signed\n", 0));
    a_signature_is_shown(&fixture, &logical, public.trim_end());
    let (_, err, code) = elsewhere(
        &fixture,
        &["store", "copy", "--from", "signed", &logical],
        &[("OSBUILD_TRUSTED_PUBLIC_KEYS", "nonsense")],
    );
    assert_eq!(
        (err.as_str(), code),
        (
            "error: a trusted key is malformed: a public key is written <name>:<base64>\nhint: keys are NAME:BASE64, public ones\n",
            2
        )
    );
}

#[test]
fn objects_are_signed_where_they_are() {
    let fixture = Fixture::new();
    let public = fixture.succeeds(&["store", "key", "generate", "here-1", "-o", "key"]);
    fixture.succeeds(&["store", "key", "generate", "other-1", "-o", "other"]);
    let (low, _) = fixture.tree("low", json!({ "x": { "text": "low" } }));
    let (_, file) = fixture.shell("top", "echo $input0 > $out", &[&low]);
    fixture.succeeds(&["build", &file]);
    assert_eq!(
        fixture.succeeds(&["store", "sign", "--key", "key", "result"]),
        "added 1 signatures to 1 objects\n"
    );
    let both = ["store", "sign", "--recursive", "--key", "key", "--key", "other", "result"];
    assert_eq!(fixture.succeeds(&both), "added 3 signatures to 2 objects\n");
    assert_eq!(fixture.succeeds(&both), "added 0 signatures to 2 objects\n");
    let (out, err, code) = fixture.run_with(
        &["store", "info", "result"],
        &[("OSBUILD_TRUSTED_PUBLIC_KEYS", public.trim_end().as_ref())],
    );
    assert!(code == 0 && out.contains("here-1:") && out.contains("other-1:"), "{out}{err}");

    // They go along, and count elsewhere.
    fixture.succeeds(&["store", "copy", "--to", "cache", "result"]);
    let name = fixture.place.path().join("result").read_link().unwrap();
    let logical = format!("/nix/store/{}", name.file_name().unwrap().to_str().unwrap());
    let trusted = [("OSBUILD_TRUSTED_PUBLIC_KEYS", public.trim_end())];
    let (out, err, _) = elsewhere(&fixture, &["store", "copy", "--from", "cache", &logical], &trusted);
    assert_eq!(out, "fetched 2 objects from cache\n", "{err}");

    // What is there no more cannot be signed.
    let object = fixture.home().join("store").join(name.file_name().unwrap());
    std::fs::set_permissions(&object, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&object, "other").unwrap();
    let (_, err, code) = fixture.run(&["store", "sign", "--key", "key", "result"]);
    assert!(err.contains("is corrupt: its hash is") && code == 3, "{err}");
    is_used_wrongly(&fixture, &[(&["store", "sign", "result"], "--key <FILE>")]);
}

/// What is said of the signature of an object that was fetched, by whose word
/// counts.
fn a_signature_is_shown(fixture: &Fixture, logical: &str, public: &str) {
    let impostor = fixture.succeeds(&["store", "key", "generate", "test-1", "--output", "impostor"]);
    for (trusted, standing, signed_by) in [
        (public, "trusted", json!(["test-1"])),
        (impostor.trim_end(), "does not hold", json!([])),
        ("", "by a key that is not known here", json!([])),
    ] {
        let keys = [("OSBUILD_TRUSTED_PUBLIC_KEYS", trusted)];
        let (out, _, code) = elsewhere(fixture, &["store", "info", "--json", logical], &keys);
        assert_eq!(code, 0, "{out}");
        let record: Value = serde_json::from_str(&out).unwrap();
        let signature = record["signatures"][0].as_str().unwrap();
        assert!(signature.starts_with("test-1:") && signature.len() == 7 + 88, "{out}");
        assert_eq!(record["signedBy"], signed_by);
        let (out, _, _) = elsewhere(fixture, &["store", "info", logical], &keys);
        assert!(out.contains(&format!("\n  signature:  {signature} ({standing})\n")), "{out}");
    }
    // What was made here has none.
    let record: Value =
        serde_json::from_str(&fixture.succeeds(&["store", "info", "--json", logical])).unwrap();
    assert_eq!((&record["signatures"], &record["signedBy"]), (&json!([]), &json!([])));
}

#[test]
fn a_store_is_served_until_it_is_interrupted() {
    let fixture = Fixture::new();
    let (_, user) = two(&fixture);
    let mut server = fixture
        .command(&["store", "serve", "--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap().replace(fixture.place.path().to_str().unwrap(), "PLACE");
    let address = line.strip_prefix("serving PLACE/home at ").expect(&line).to_owned();

    let logical = format!("/nix/store/{user}");
    let (out, err, code) = elsewhere(&fixture, &["store", "copy", "--from", &address, &logical], &[]);
    assert_eq!((out, err.as_str(), code), (format!("fetched 2 objects from {address}\n"), "", 0));
    let listen = address.trim_start_matches("http://");
    refuses(
        &fixture,
        &[(
            &["store", "serve", "--quiet", "--listen", listen],
            &format!("error: cannot listen at {listen}: Address already in use (os error 98)\n"),
            1,
        )],
    );
    is_used_wrongly(
        &fixture,
        &[(
            &["store", "serve", "--listen", "everywhere"],
            "invalid value 'everywhere' for '--listen <ADDRESS>'",
        )],
    );

    kill_process(Pid::from_child(&server), Signal::INT).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(lines.map_while(Result::ok).any(|line| line.contains(".narinfo")), "requests are told of");
}

#[test]
fn why_something_is_there_is_told() {
    let fixture = Fixture::new();
    let (base, user) = two(&fixture);
    let (of_base, of_user) = (format!("/nix/store/{base}"), format!("/nix/store/{user}"));
    let out = fixture.succeeds(&["store", "why-depends", "result", &of_base]);
    assert_eq!(out, format!("{user}\n  in bin/x at byte 15:\n  {base}\n"));
    assert_eq!(fixture.succeeds(&["store", "why-depends", &of_user, &of_user]), format!("{user}\n"));
    let out = fixture.succeeds(&["store", "why-alive", &of_base]);
    assert_eq!(out, format!("PLACE/result\n  {user}\n    {base}\n"));
    refuses(
        &fixture,
        &[
            (
                &["store", "why-depends", &of_base, &of_user],
                &format!("error: {base} does not need {user}\n"),
                1,
            ),
            (
                &["store", "why-depends", &of_base, "/nix/store/00000000000000000000000000000001-absent"],
                "error: 00000000000000000000000000000001-absent is not in the store\n",
                1,
            ),
            (
                &["store", "why-alive", "/nix/store/00000000000000000000000000000001-absent"],
                "error: 00000000000000000000000000000001-absent is not in the store\n",
                1,
            ),
            (
                &["store", "why-alive", "here"],
                "error: 'here' is no path of the store\nhint: give an object or a result link\n",
                2,
            ),
        ],
    );
    std::fs::remove_file(fixture.place.path().join("result")).unwrap();
    let out = fixture.succeeds(&["store", "why-alive", &of_base]);
    assert_eq!(out, format!("nothing keeps {base}: the next garbage collection removes it\n"));
    assert_eq!(
        fixture.succeeds(&["store", "why-alive", "--json", &of_base]),
        "{\"roots\":[],\"schema\":1}\n"
    );
}

#[test]
fn differences_are_listed() {
    let fixture = Fixture::new();
    let build = |files: Value| {
        fixture
            .succeeds(&["build", "--no-link", &fixture.tree("tree", files).1])
            .trim_end()
            .replace("PLACE", fixture.place.path().to_str().unwrap())
    };
    let first =
        build(json!({ "same": { "text": "s" }, "other": { "text": "1" }, "only-first": { "text": "" } }));
    let second =
        build(json!({ "same": { "text": "s" }, "other": { "text": "2" }, "only-second": { "text": "" } }));
    let (out, err, code) = fixture.run(&["store", "diff", &first, &second]);
    assert_eq!(
        out,
        "- only-first: only in the first\n+ only-second: only in the second\n~ other: 1 bytes each, differ from byte 0 on\n"
    );
    assert_eq!((err.as_str(), code), ("error: 3 differences\n", 1));
    let (out, err, code) = fixture.run(&["store", "diff", &first, &first]);
    assert_eq!((out.as_str(), err.as_str(), code), ("", "", 0));
}

#[test]
fn garbage_is_collected_by_age_and_size() {
    let fixture = Fixture::new();
    let (base, user) = two(&fixture);
    let gc = |words: &[&str]| fixture.succeeds(&[&["store", "gc"], words].concat());
    assert_eq!(gc(&[]), "removed 0 objects (0 MiB) and 0 leftovers\n");
    std::fs::remove_file(fixture.place.path().join("result")).unwrap();
    assert_eq!(gc(&["--dry-run"]), "would remove 2 objects (0 MiB) and 0 leftovers\n");
    assert_eq!(gc(&["--unused-for", "1h"]), "removed 0 objects (0 MiB) and 0 leftovers\n");
    assert_eq!(gc(&["--max-size", "1M"]), "removed 0 objects (0 MiB) and 0 leftovers\n");
    let record: Value = serde_json::from_str(&gc(&["--json", "--dry-run", "--max-size", "0"])).unwrap();
    assert_eq!(
        (&record["dryRun"], &record["removed"]),
        (&json!(true), &json!([user, base])),
        "referrers go first"
    );
    assert_eq!(gc(&["--unused-for", "0h"]), "removed 2 objects (0 MiB) and 0 leftovers\n");
    is_used_wrongly(
        &fixture,
        &[
            (&["store", "gc", "--unused-for", "30m"], "give hours, days or weeks: 12h, 30d, 4w"),
            (&["store", "gc", "--unused-for", "30"], "give hours, days or weeks: 12h, 30d, 4w"),
            (&["store", "gc", "--unused-for", "-1d"], "unexpected argument '-1' found"),
            (&["store", "gc", "--unused-for", "soon"], "'soon' is no time"),
            (&["store", "gc", "--unused-for", "99999999999999999w"], "'99999999999999999w' is too long"),
            (&["store", "gc", "--max-size", "G"], "'G' is no size"),
            (&["store", "gc", "--max-size", "1GB"], "unknown unit 'GB'"),
            (&["store", "gc", "--max-size", "99999999T"], "'99999999T' is too large"),
        ],
    );
}

#[test]
fn damage_is_found_and_repaired() {
    let fixture = Fixture::new();
    let (base, user) = two(&fixture);
    assert_eq!(fixture.succeeds(&["store", "verify"]), "2 objects, 0 problems\n");
    let at = fixture.home().join("store").join(&base);
    osbuild_store::local::remove_tree(&at).unwrap();
    let (out, err, code) = fixture.run(&["store", "verify"]);
    assert_eq!(
        out,
        format!(
            "{base} cannot be read: cannot read PLACE/home/store/{base}: No such file or directory (os error 2)\n2 objects, 1 problems\n"
        )
    );
    assert_eq!(
        (err.as_str(), code),
        (
            "error: the store is damaged\nhint: `osbuild store verify --repair` drops them, and the next build makes them again\n",
            3
        )
    );
    let (out, _, code) = fixture.run(&["store", "verify", "--repair"]);
    assert!(out.ends_with("2 objects, 1 problems\ndropped 2 objects\n") && code == 0, "{out}");
    assert_eq!(fixture.succeeds(&["store", "verify"]), "0 objects, 0 problems\n");
    assert!(!fixture.home().join("store").join(&user).exists(), "it cannot be without {base}");
}

#[test]
fn a_damaged_database_is_replaced() {
    let fixture = Fixture::new();
    let (_, user) = two(&fixture);
    let database = fixture.home().join("db.sqlite");
    std::fs::write(&database, "Dear diary,\n").unwrap();
    let message = "error: the store's database PLACE/home/db.sqlite is damaged: cannot read the layout: file is not a database\n\
        hint: run `osbuild store verify --repair`: it keeps the damaged file and makes a new one from the objects\n";
    let logical = format!("/nix/store/{user}");
    refuses(
        &fixture,
        &[
            (&["store", "info", &logical], message, 3),
            (&["store", "gc"], message, 3),
            (&["store", "verify"], message, 3),
            (&["store", "why-alive", &logical], message, 3),
        ],
    );
    let (out, err, code) = fixture.run(&["store", "verify", "--repair"]);
    assert_eq!((out.as_str(), code), ("2 objects, 0 problems\n", 0), "{err}");
    assert_eq!(
        err,
        "the database was damaged and is kept as PLACE/home/db.sqlite.damaged-1\n\
         2 objects are what their names say and stay; 0 are made again when needed, as is what builds gave\n"
    );
    assert_eq!(std::fs::read_to_string(fixture.home().join("db.sqlite.damaged-1")).unwrap(), "Dear diary,\n");
    let (out, err, code) = fixture.run(&["store", "verify", "--repair"]);
    assert_eq!((out.as_str(), err.as_str(), code), ("2 objects, 0 problems\n", "", 0));
}
