//! What a builder sees, and what it is refused.

use crate::fixture::Fixture;

fn check(script: &str, expected: &str) {
    let fixture = Fixture::new();
    let derivation = fixture.shell("probe", &format!("{{ {script}\n}} > $out 2>&1"), &[]);
    assert_eq!(fixture.text(&derivation).trim_end(), expected, "{script}");
}

#[test]
fn a_builder_is_uid_1000_with_no_capabilities() {
    check(
        "id -u; id -g; cat /etc/passwd",
        "1000\n100\nroot:x:0:0:root:/build:/noshell\nnixbld:x:1000:100:build user:/build:/noshell\nnobody:x:65534:65534:nobody:/:/noshell",
    );
    check(
        "while read -r name value; do case $name in CapBnd:|CapEff:|NoNewPrivs:) echo $name $value;; esac; done < /proc/self/status",
        "CapEff: 0000000000000000\nCapBnd: 0000000000000000\nNoNewPrivs: 1",
    );
}

#[test]
fn there_is_no_network_but_loopback() {
    check(
        "while read -r name rest; do case $name in *:) echo $name;; esac; done < /proc/net/dev; cat /proc/net/route",
        "lo:\nIface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    );
}

#[test]
fn the_root_holds_the_package_root_and_nothing_of_the_host() {
    check("ls /", "bin\nbuild\ndev\netc\nlib\nlib64\nnix\nproc\ntmp\nusr");
    check("ls /etc", "group\nhosts\npasswd");
    check("ls /dev", "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero");
    check("ls -A /tmp /build", "/build:\n\n/tmp:");
}

#[test]
fn nothing_of_the_host_shows_in_proc() {
    check(
        "cat /proc/cmdline /proc/loadavg /proc/uptime /proc/sys/kernel/random/boot_id /proc/sys/kernel/hostname",
        "\n0.00 0.00 0.00 1/1 1\n1.00 1.00\n00000000-0000-4000-8000-000000000000\nlocalhost",
    );
}

#[test]
fn only_build_tmp_and_outputs_can_be_written() {
    let refused = |path: &str| {
        check(
            &format!("touch {path} && echo wrote || true"),
            &format!("touch: cannot touch '{path}': Read-only file system"),
        );
    };
    for path in ["/x", "/usr/x", "/etc/x"] {
        refused(path);
    }
    check("touch /build/x /tmp/x && echo wrote", "wrote");
}

#[test]
fn inputs_are_read_only_and_the_closure_is_all_there_is() {
    let fixture = Fixture::new();
    let stranger = fixture.build(&fixture.shell("stranger", "echo x > $out", &[])).unwrap();
    let input = fixture.shell("input", "mkdir $out; echo 1 > $out/file", &[]);
    let script = "{ ls /nix/store | while read -r name; do echo ${name#*-}; done; echo 2 > $input0/file || true; rm -f $input0/file || true; cat $input0/file; } > /build/log 2>&1; cp /build/log $out";
    let derivation = fixture.shell("user", script, &[&input]);
    let text = fixture.text(&derivation);
    assert!(text.starts_with("input\nroot\n"), "{text}");
    assert!(text.matches("Read-only file system").count() == 2 && text.ends_with("1\n"), "{text}");
    assert!(!text.contains(stranger.as_str()));
}

#[test]
fn setuid_modes_and_attributes_are_refused() {
    check(
        "touch /build/f; chmod 4755 /build/f && echo allowed || true",
        "chmod: changing permissions of '/build/f': Operation not permitted",
    );
    check(
        "touch /build/f; chmod 2755 /build/f && echo allowed || true",
        "chmod: changing permissions of '/build/f': Operation not permitted",
    );
}

#[test]
fn the_environment_is_nixs() {
    let fixture = Fixture::new();
    let derivation = fixture.shell("variables", "path=$out; unset out; env > $path", &[]);
    let text = fixture.text(&derivation);
    for line in [
        "HOME=/homeless-shelter",
        "NIX_BUILD_CORES=2",
        "NIX_BUILD_TOP=/build",
        "NIX_STORE=/nix/store",
        "PWD=/build",
        "TMPDIR=/build",
        "name=variables",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("CARGO"), "the caller's environment leaks:\n{text}");
}

#[test]
fn a_builder_that_is_not_there_is_named() {
    let fixture = Fixture::new();
    let mut derivation = (*fixture.lookup(&fixture.shell("x", "", &[])).unwrap()).clone();
    derivation.builder = b"/usr/bin/absent".to_vec();
    let text = fixture.failure(&fixture.add("x", derivation.clone()));
    assert!(text.contains("cannot run /usr/bin/absent in the sandbox: No such file"), "{text}");

    derivation.environment.remove(b"sandboxRoot".as_slice());
    let text = fixture.failure(&fixture.add("x", derivation.clone()));
    assert!(text.contains("the derivation has no sandboxRoot"), "{text}");

    derivation.system = b"riscv64-linux".to_vec();
    let text = fixture.failure(&fixture.add("x", derivation));
    assert!(text.contains("'riscv64-linux' cannot run here"), "{text}");
}

#[test]
fn a_build_that_takes_too_long_is_stopped_with_all_it_started() {
    let mut fixture = Fixture::new();
    fixture.options.timeout = Some(std::time::Duration::from_millis(300));
    let started = std::time::Instant::now();
    let text = fixture.failure(&fixture.shell("slow", "sleep 60 & sleep 60", &[]));
    assert!(text.contains("stopped after"), "{text}");
    assert!(started.elapsed().as_secs() < 20);

    fixture.options.timeout = None;
    fixture.options.max_silence = Some(std::time::Duration::from_millis(300));
    let text = fixture.failure(&fixture.shell("silent", "sleep 60", &[]));
    assert!(text.contains("of silence"), "{text}");
}

#[test]
fn structured_attributes_arrive_as_files() {
    let fixture = Fixture::new();
    let mut derivation = (*fixture.lookup(&fixture.shell("x", "", &[])).unwrap()).clone();
    let root = fixture.store.store_dir().display(&fixture.root);
    let json = format!(r#"{{"list":["a","b c"],"name":"x","sandboxRoot":"{root}"}}"#);
    derivation.environment.retain(|name, _| name == b"out");
    derivation.environment.insert(b"__json".to_vec(), json.into_bytes());
    let script = "PATH=/usr/bin; cat $NIX_ATTRS_SH_FILE; out=$(cat $NIX_ATTRS_JSON_FILE); out=${out#*'\"out\":\"'}; cp $NIX_ATTRS_SH_FILE ${out%%'\"'*}";
    derivation.arguments = vec![b"-euc".to_vec(), script.as_bytes().to_vec()];
    // The output's own path is in .attrs.sh, so this one must be refused.
    let text = fixture.failure(&fixture.add("x", derivation));
    assert!(text.contains("contains the path of output 'out'"), "{text}");
}
