//! What a root must not hold, and conflicts between packages: each case is
//! refused by a message that names both sides, and the same root without it is
//! accepted.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::fixture::{Fixture, Make, logical};

fn package(pname: &str, exclude: &[&str], interpreter: bool) -> Value {
    json!({ "pname": pname, "version": "1", "license": "MIT", "cpe": null, "path": logical(pname),
            "exclude": exclude, "interpreter": interpreter })
}

fn parameters(packages: &[Value]) -> Value {
    json!({ "packages": packages, "directories": [], "links": [], "attributes": [],
            "osRelease": { "ID": "x" }, "interpreterBinaries": [], "allow": [] })
}

fn link(fixture: &Fixture, name: &str, parameters: Value) -> Result<Value, String> {
    let built =
        fixture.build("link-root", name, &["out", "report"], parameters).map_err(|e| e.to_string())?;
    Ok(serde_json::from_slice(&built.read("report")).unwrap())
}

/// A 64-bit shared object that needs a library, with a run path.
fn elf(needed: &str, run_path: &str) -> Vec<u8> {
    let strings = format!("\0{needed}\0{run_path}\0__stack_chk_fail\0");
    let (dynamic, table) = (0x200u64, 0x300u64);
    let mut b = vec![0u8; 0x400];
    let mut put = |at: usize, bytes: &[u8]| b[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &3u16.to_le_bytes());
    put(18, &62u16.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(54, &56u16.to_le_bytes());
    put(56, &3u16.to_le_bytes());
    // PT_LOAD, PT_DYNAMIC, PT_GNU_RELRO: kind, offset, size.
    for (index, (kind, at, size)) in
        [(1u32, 0u64, 0x400u64), (2, dynamic, 96), (0x6474_e552, dynamic, 96)].into_iter().enumerate()
    {
        let row = 64 + index * 56;
        put(row, &kind.to_le_bytes());
        put(row + 8, &at.to_le_bytes());
        put(row + 16, &at.to_le_bytes());
        put(row + 32, &size.to_le_bytes());
    }
    let rows: [(u64, u64); 5] =
        [(1, 1), (29, 2 + needed.len() as u64), (5, table), (10, strings.len() as u64), (24, 0)];
    for (index, (tag, value)) in rows.into_iter().enumerate() {
        put(0x200 + index * 16, &tag.to_le_bytes());
        put(0x208 + index * 16, &value.to_le_bytes());
    }
    put(0x300, strings.as_bytes());
    b
}

#[test]
fn every_deny_rule_names_package_and_file() {
    let fixture = Fixture::new();
    fixture.package("good", &[("usr/lib/libgood.so.1", Make::File(b"x"))]);
    fixture.package("script", &[("usr/bin/run", Make::Program(b"#!/bin/sh\n"))]);
    fixture.package("shell", &[("usr/bin/sh", Make::Program(&elf("libgood.so.1", "")))]);
    fixture.package("path", &[("usr/lib/x.conf", Make::File(b"a = /nix/store/abc\n"))]);
    fixture
        .package("needs", &[("usr/lib/deep/x.so", Make::File(&elf("libmissing.so.2", "$ORIGIN/../near")))]);
    fixture.package("gives", &[("usr/lib/libmissing.so.2", Make::File(b"y"))]);
    fixture.package(
        "unit",
        &[("usr/lib/systemd/system/a.service", Make::File(b"[Service]\nExecStart=/usr/bin/absent\n"))],
    );
    fixture.package("udev", &[("usr/lib/udev/rules.d/a.rules", Make::File(b"RUN+=\"absent\"\n"))]);
    let suid = fixture.package("suid", &[("usr/bin/su", Make::Program(b"z"))]);
    let su = fixture.physical(&suid).join("usr/bin/su");
    std::fs::set_permissions(su, std::fs::Permissions::from_mode(0o4755)).unwrap();

    let good = || package("good", &[], false);
    let cases = [
        (
            vec![package("script", &[], false)],
            "script: /usr/bin/run: begins with #!, and this root has no interpreter [script]",
        ),
        (
            vec![package("shell", &[], true)],
            "shell: /usr/bin/sh: its package is an interpreter [interpreter]",
        ),
        (
            vec![package("path", &[], false)],
            "path: /usr/lib/x.conf: names a build path at offset 4 [store-path]",
        ),
        (
            vec![package("needs", &[], false), package("gives", &["usr/lib/libmissing*"], false)],
            "needs: /usr/lib/deep/x.so: needs libmissing.so.2, which is not in this root (gives has it as \
             usr/lib/libmissing.so.2, but excludes it) [needed]",
        ),
        (
            vec![package("unit", &[], false)],
            "unit: /usr/lib/systemd/system/a.service: runs /usr/bin/absent, which is not in this root [missing-program]",
        ),
        (
            vec![package("udev", &[], false)],
            "udev: /usr/lib/udev/rules.d/a.rules: runs /usr/lib/udev/absent, which is not in this root [missing-program]",
        ),
        (vec![package("suid", &[], false)], "suid: /usr/bin/su: is set-user-id or set-group-id [setuid]"),
    ];
    for (index, (mut packages, expected)) in cases.into_iter().enumerate() {
        packages.push(good());
        let error = link(&fixture, &format!("denied-{index}"), parameters(&packages)).unwrap_err();
        assert_eq!(error.lines().nth(1), Some(expected), "{error}");
        assert!(error.starts_with("this root must not be built: 1 finding(s)"), "{error}");
        let rule = expected.rsplit_once('[').unwrap().1.trim_end_matches(']');
        let mut allowed = parameters(&packages);
        allowed["allow"] = json!([{ "glob": "/usr/**", "rule": rule, "reason": "a test" }]);
        let report = link(&fixture, &format!("allowed-{index}"), allowed).unwrap();
        assert_eq!(report["findings"][0]["allowed"], "a test");
    }
    let report = link(
        &fixture,
        "good",
        parameters(&[good(), package("gives", &[], false), package("needs", &[], false)]),
    )
    .unwrap();
    assert_eq!(report["findings"], json!([]));
    let row = &report["elf"][0];
    assert_eq!(
        (&row["relro"], &row["pie"], &row["stack_protector"]),
        (&json!("full"), &json!(true), &json!(true))
    );
}

#[test]
fn a_renamed_interpreter_is_still_one() {
    let fixture = Fixture::new();
    let shell = fixture.package("shell", &[("usr/bin/sh", Make::Program(&elf("libgood.so.1", "")))]);
    fixture.package(
        "disguised",
        &[
            ("usr/bin/not-a-shell", Make::Program(&elf("libgood.so.1", ""))),
            ("usr/lib/libgood.so.1", Make::File(b"x")),
        ],
    );
    let mut denied = parameters(&[package("disguised", &[], false)]);
    denied["interpreterBinaries"] = json!([format!("{shell}/usr/bin/sh")]);
    let error = link(&fixture, "denied", denied).unwrap_err();
    assert!(error.contains("disguised: /usr/bin/not-a-shell: has the contents of"), "{error}");
    link(&fixture, "accepted", parameters(&[package("disguised", &[], false)])).unwrap();
}

#[test]
fn container_images_are_listed_apart() {
    let fixture = Fixture::new();
    fixture
        .package("image", &[("usr/share/osbuild/images/layer.tar", Make::File(b"#!/bin/sh /nix/store/x"))]);
    let report = link(&fixture, "image-root", parameters(&[package("image", &[], false)])).unwrap();
    assert_eq!(report["images"], json!(["/usr/share/osbuild/images/layer.tar"]));
}

#[test]
fn conflicts_name_both_packages_and_are_collected() {
    let fixture = Fixture::new();
    fixture.package(
        "a",
        &[
            ("usr/lib/x", Make::File(b"1")),
            ("usr/lib/y", Make::File(b"1")),
            ("usr/lib/z", Make::Link("x")),
            ("lib", Make::Link("usr/lib")),
        ],
    );
    fixture.package(
        "b",
        &[
            ("usr/lib/x", Make::File(b"2")),
            ("usr/lib/y", Make::File(b"1")),
            ("usr/lib/z", Make::Directory),
            ("lib/w", Make::File(b"3")),
        ],
    );
    let both = [package("a", &[], false), package("b", &[], false)];
    let error = link(&fixture, "conflict", parameters(&both)).unwrap_err();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines[0], "packages do not fit together: 4 conflict(s)", "{error}");
    assert!(lines.contains(&"/usr/lib/x: a and b both bring it, with different contents"), "{error}");
    assert!(lines.contains(&"/usr/lib/z: a link of a, a directory of b"), "{error}");
    assert!(lines.contains(&"/lib: a link of a, a directory of b"), "{error}");
    let filtered = [package("a", &[], false), package("b", &["usr/lib/x", "usr/lib/z", "lib"], false)];
    link(&fixture, "no-conflict", parameters(&filtered)).unwrap();
}

#[test]
fn wrong_parameters_are_named() {
    let fixture = Fixture::new();
    fixture.package("a", &[("usr/lib/x", Make::File(b"1"))]);
    let check = |name: &str, field: &str, value: Value, expected: &str| {
        let mut parameters = parameters(&[package("a", &[], false)]);
        parameters[field] = value;
        let error = fixture.build("link-root", name, &["out", "report"], parameters).err().unwrap();
        let text = format!(
            "{error}: {}",
            std::error::Error::source(&error).map_or(String::new(), |s| s.to_string())
        );
        assert!(text.contains(expected), "{text}");
    };
    check("p1", "colour", json!(1), "unknown field `colour`");
    check(
        "p2",
        "allow",
        json!([{ "glob": "*", "rule": "nope", "reason": "" }]),
        "no rule 'nope'; the rules are script",
    );
    check(
        "p3",
        "directories",
        json!([{ "path": "var/", "mode": "0755", "uid": 0, "gid": 0 }]),
        "'var/' is no clean path",
    );
    check(
        "p4",
        "directories",
        json!([{ "path": "/var", "mode": "rwx", "uid": 0, "gid": 0 }]),
        "'rwx' is no octal mode",
    );
    check("p5", "osRelease", json!({ "BUILD_ID": "x" }), "'BUILD_ID' is no name");
}
