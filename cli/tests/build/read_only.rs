//! A store that cannot be written: on a read-only disk it can be read, and
//! somebody else's is refused in words.

use std::process::Command;

use serde_json::json;

use super::fixture::{Fixture, in_order};

/// Runs `script` where the store is mounted read-only; what was printed.
fn on_a_read_only_disk(fixture: &Fixture, script: &str) -> String {
    let script = format!("mount --bind home home\nmount -o remount,bind,ro home\n{script}");
    fixture.with_mounts(&fixture.home(), &script)
}

#[test]
fn a_store_on_a_read_only_disk_is_read_and_not_written() {
    let fixture = Fixture::new();
    let (_, file) = fixture.tree("hello", json!({ "a": { "text": "A" } }));
    let (_, other) = fixture.tree("other", json!({ "b": { "text": "B" } }));
    let built = fixture.succeeds(&["build", &file]);
    let name = built.trim_end().rsplit('/').next().unwrap();
    let text = on_a_read_only_disk(
        &fixture,
        &format!(
            "fails() {{ code=0; \"$@\" || code=$?; echo \"code $code\"; }}
             exec 2>&1
             $osbuild store info result
             $osbuild store closure result
             $osbuild store why-depends result result
             $osbuild store why-alive result
             $osbuild store verify
             fails $osbuild store gc --dry-run
             $osbuild eval -E 'builtins.readFile /nix/store/{name}/a'
             $osbuild build --no-link {file}
             fails $osbuild build --no-link {other}
             fails $osbuild store gc"
        ),
    );
    in_order(
        &text,
        &[
            &format!("/nix/store/{name}\n  physical:"),
            &format!("/nix/store/{name}\n"),
            &format!("{name}\n"),
            &format!("PLACE/result\n  {name}\n"),
            "2 objects, 0 problems\n",
            "error: cannot open the lock PLACE/home/locks/gc.lock: Read-only file system",
            "code 1\n",
            "\"A\"\n",
            &format!("PLACE/home/store/{name}\n"),
            "error: cannot ",
            " PLACE/home/",
            "Read-only file system",
            "hint: set OSBUILD_HOME to a directory on a writable disk\ncode 1\n",
            "error: cannot open the lock PLACE/home/locks/gc.lock: Read-only file system",
            "hint: set OSBUILD_HOME to a directory on a writable disk\ncode 1\n",
        ],
    );
    assert!(!text.contains("panic") && !text.contains("bug"), "{text}");
    // As before, and as the next one finds it.
    assert_eq!(fixture.succeeds(&["store", "verify"]), "2 objects, 0 problems\n");
}

/// What is in the log only would be missing from every answer.
#[test]
fn a_read_only_store_whose_log_was_not_written_back_is_refused() {
    let fixture = Fixture::new();
    let (_, file) = fixture.tree("hello", json!({ "a": { "text": "A" } }));
    fixture.succeeds(&["build", &file]);
    std::fs::write(fixture.home().join("db.sqlite-wal"), "x").unwrap();
    let text = on_a_read_only_disk(&fixture, "$osbuild store verify 2>&1 || echo \"code $?\"");
    assert_eq!(
        text,
        "error: cannot write back the log PLACE/home/db.sqlite-wal: read-only filesystem or storage medium\n\
         hint: set OSBUILD_HOME to a directory on a writable disk\ncode 1\n"
    );
}

/// The kernel lets root write anywhere, so the command runs as nobody special.
#[test]
fn somebody_elses_store_is_refused_in_words() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    let (_, file) = fixture.tree("hello", json!({ "a": { "text": "A" } }));
    let object = fixture.succeeds(&["build", "--no-link", &file]);
    let object = object.trim_end().replace("PLACE", fixture.place.path().to_str().unwrap());
    let mode = |mode| std::fs::set_permissions(fixture.home(), PermissionsExt::from_mode(mode)).unwrap();
    mode(0o555);
    for words in [
        &["store", "info", &object][..],
        &["store", "gc"],
        &["store", "verify"],
        &["build", "--no-link", &file],
    ] {
        let inner = fixture.command(words);
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-user=1000", "--"]).arg(inner.get_program()).args(inner.get_args());
        command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.current_dir(fixture.place.path()).output().unwrap();
        let err = String::from_utf8(output.stderr)
            .unwrap()
            .replace(fixture.place.path().to_str().unwrap(), "PLACE");
        assert_eq!(
            err,
            "error: cannot write to the store in PLACE/home: Permission denied (os error 13)\n\
             hint: the store belongs to one user: run as that user, or set OSBUILD_HOME to a directory of yours\n",
            "{words:?}"
        );
        assert_eq!(output.status.code(), Some(1), "{words:?}");
    }
    mode(0o755);
}
