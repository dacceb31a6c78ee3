//! The kernel is packed as a node packs it.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use osbuild_format::kernel::{PACK_LEVEL, Packer};

use crate::judge::judge;

/// What stands in for zstd in the kernel's build, run with the zstd of the same
/// suite, against what a node makes of the same kernel; else every update of a
/// kernel would be downloaded whole, and nobody would notice.
#[test]
fn what_packs_the_kernel_is_repeated_by_a_node() {
    let Some(zstd) = judge("zstd") else { return };
    let directory = tempfile::tempdir().unwrap();
    // The script finds the program in the PATH, and the judge is more than a path.
    let program = directory.path().join("zstd");
    let words: Vec<String> = std::iter::once(zstd.get_program())
        .chain(zstd.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    std::fs::write(&program, format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "))).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::join_paths(
        std::iter::once(directory.path().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/pkgs/linux/zstd.sh");
    let pack = |words: &[&str], bytes: &[u8]| {
        let mut child = Command::new("sh")
            .arg(&script)
            .args(words)
            .env("PATH", &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // A script that refuses does not read.
            scope.spawn(move || stdin.write_all(bytes).ok());
            child.wait_with_output().unwrap()
        })
    };

    // A program as good as any, larger than the packer's window.
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    for size in [6 << 20, (6 << 20) + 4711] {
        let bytes = program.get(..size).expect("this test's program is larger");
        let packed = pack(&["-22", "--ultra"], bytes);
        assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
        for (level, is_same) in [(PACK_LEVEL, true), (PACK_LEVEL + 1, false)] {
            let mut packer = Packer::new(Vec::new(), bytes.len() as u64, level).unwrap();
            packer.write_all(bytes).unwrap();
            assert!((packer.finish().unwrap() == packed.stdout) == is_same, "level {level}, {size} bytes");
        }
    }

    let other = pack(&["-19"], &program);
    assert_eq!(other.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&other.stderr).contains("calls zstd with '-19'"));
}
