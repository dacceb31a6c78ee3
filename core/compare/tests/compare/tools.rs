//! Faults that real tools plant. Where a tool is missing the test says so, and
//! fails if `OSBUILD_REQUIRE_JUDGES` is set.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::common::{compared, leaves};

/// Runs a tool in a directory with nothing of this process's environment but
/// its search path; false if there is no such tool.
fn run(tool: &str, arguments: &[&str], directory: &Path, environment: &[(&str, &str)]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut command = Command::new(tool);
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", path)
        .envs(environment.iter().copied());
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("OSBUILD_REQUIRE_JUDGES").is_none(), "there is no {tool}");
            eprintln!("skipped: there is no {tool}");
            false
        }
        Err(error) => panic!("{tool}: {error}"),
    }
}

/// Makes a file twice, in directories of different names and with different
/// settings; all of the expected leaves must be among those found.
#[track_caller]
fn check(make: impl Fn(&Path, bool) -> Option<Vec<u8>>, expected: &[&str]) {
    let place = tempfile::tempdir().unwrap();
    let side = |name: &str, is_right| {
        let directory = place.path().join(name);
        fs::create_dir(&directory).unwrap();
        make(&directory, is_right)
    };
    let (Some(left), Some(right)) = (side("one", false), side("two", true)) else { return };
    let found = leaves(&compared(&left, &right).expect("the tool was given different settings"));
    for line in expected {
        assert!(found.iter().any(|leaf| leaf == line), "{line} is not among {found:#?}");
    }
}

const PROGRAM: &str = "const char stamp[] = __DATE__ \" \" __TIME__;\nint f(void) { return 1; }\n";

#[test]
fn date_of_a_compilation() {
    let make = |directory: &Path, is_right| {
        fs::write(directory.join("a.c"), PROGRAM).unwrap();
        let epoch = if is_right { "1000000000" } else { "1700000000" };
        let arguments = ["-c", "a.c", "-o", "a.o"];
        run("gcc", &arguments, directory, &[("SOURCE_DATE_EPOCH", epoch)])
            .then(|| fs::read(directory.join("a.o")).unwrap())
    };
    check(make, &["section '.rodata': bytes [timestamp]"]);
}

#[test]
fn path_in_debug_information() {
    let make = |directory: &Path, _| {
        fs::write(directory.join("a.c"), PROGRAM).unwrap();
        let source = directory.join("a.c");
        let arguments = ["-g", "-gno-record-gcc-switches", "-c", source.to_str()?, "-o", "a.o"];
        run("gcc", &arguments, directory, &[("SOURCE_DATE_EPOCH", "1"), ("TMPDIR", directory.to_str()?)])
            .then(|| fs::read(directory.join("a.o")).unwrap())
    };
    check(make, &["section '.debug_line_str': text [path]"]);
}

#[test]
fn build_id_alone() {
    let make = |directory: &Path, is_right| {
        fs::write(directory.join("a.c"), "int f(void) { return 1; }\n").unwrap();
        let id =
            if is_right { "-Wl,--build-id=0x0123456789abcdef" } else { "-Wl,--build-id=0x0123456789abcdee" };
        let arguments = ["-shared", "-nostdlib", "-fPIC", id, "a.c", "-o", "a.so"];
        run("gcc", &arguments, directory, &[]).then(|| fs::read(directory.join("a.so")).unwrap())
    };
    check(make, &["section '.note.gnu.build-id' › build id: value [random-id]"]);
}

#[test]
fn symbols_of_a_library() {
    let make = |directory: &Path, is_right| {
        let added = if is_right { "int added(void) { return 2; }\n" } else { "" };
        fs::write(directory.join("a.c"), format!("int f(void) {{ return 1; }}\n{added}")).unwrap();
        let has_object = run("gcc", &["-c", "a.c", "-o", "a.o"], directory, &[]);
        let has_archive = has_object && run("ar", &["rcsD", "lib.a", "a.o"], directory, &[]);
        has_archive.then(|| fs::read(directory.join("lib.a")).unwrap())
    };
    check(make, &["/: text []", "a.o › section '.symtab': text []"]);
}

#[test]
fn tar_without_an_order() {
    let make = |directory: &Path, is_right| {
        fs::write(directory.join("a"), "x").unwrap();
        fs::write(directory.join("b"), "y").unwrap();
        let names = if is_right { ["b", "a"] } else { ["a", "b"] };
        let arguments = ["-cf", "x.tar", "--mtime=@1", "--owner=0", "--group=0", names[0], names[1]];
        run("tar", &arguments, directory, &[]).then(|| fs::read(directory.join("x.tar")).unwrap())
    };
    check(make, &["order of members: order [order]"]);
}

#[test]
fn time_in_a_pax_archive() {
    let make = |directory: &Path, is_right| {
        fs::write(directory.join("a"), "x").unwrap();
        let time = if is_right { "--mtime=@1000000000.5" } else { "--mtime=@1000000000.25" };
        let arguments = ["--format=pax", "--pax-option=delete=atime,delete=ctime", "-cf", "x.tar", time, "a"];
        run("tar", &arguments, directory, &[]).then(|| fs::read(directory.join("x.tar")).unwrap())
    };
    check(make, &["a › mtime: value [timestamp]"]);
}

#[test]
fn compressors_of_the_host() {
    for (tool, arguments) in [("gzip", ["-n"]), ("xz", ["-1"]), ("zstd", ["-q"])] {
        let make = |directory: &Path, is_right| {
            fs::write(directory.join("a"), if is_right { "\0one" } else { "\0two" }).unwrap();
            let name = directory.join(format!(
                "a.{}",
                if tool == "gzip" {
                    "gz"
                } else if tool == "zstd" {
                    "zst"
                } else {
                    tool
                }
            ));
            run(tool, &[arguments[0], "a"], directory, &[]).then(|| fs::read(name).unwrap())
        };
        check(make, &["contents: bytes []"]);
    }
}
