//! `links`: gives network interfaces back the MTU that they had before a
//! setting was tried on them.
//!
//! systemd-networkd sets what a file says and leaves the last value when no
//! file says anything any more, so that a packet size that cuts the node off
//! would outlive the setting. This program runs before systemd-networkd does,
//! and again whenever the files of interfaces change: it notes what each
//! interface has when it is first seen, and restores that where a setting is
//! gone. What DHCP says of it systemd-networkd sets after that.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use osbuild_sys::console::say;

const WHO: &str = "links";
/// One directory for each interface.
const INTERFACES: &str = "/sys/class/net";
/// What the settings say of them: `10-NAME.network`.
const FILES: &str = "/etc/systemd/network";
/// By an interface's number, which stays when it is renamed: its MTU when it
/// was first seen, in bytes; and `NUMBER.set` once a setting held.
const NOTED: &str = "/run/osbuild/links";

fn main() -> ExitCode {
    match restore(Path::new(INTERFACES), Path::new(FILES), Path::new(NOTED)) {
        Ok(restored) => {
            for (name, bytes) in restored {
                println!("{name}: an MTU of {bytes} again");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(WHO, 4, &format!("cannot look after the interfaces' MTU: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Interfaces that got theirs back, with its bytes. One that fails, say since
/// it is being taken away, holds up none of the others.
fn restore(interfaces: &Path, files: &Path, noted: &Path) -> io::Result<Vec<(String, u32)>> {
    fs::create_dir_all(noted)?;
    let mut restored = Vec::new();
    let mut failed = None;
    for entry in interfaces.read_dir()? {
        let entry = entry?;
        // Those of containers and bridges are others' business.
        if !entry.path().join("device").exists() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        match restore_one(&entry.path(), &files.join(format!("10-{name}.network")), noted) {
            Ok(None) => {}
            Ok(Some(bytes)) => restored.push((name, bytes)),
            Err(error) => failed = Some(io::Error::new(error.kind(), format!("{name}: {error}"))),
        }
    }
    failed.map_or(Ok(restored), Err)
}

fn restore_one(interface: &Path, file: &Path, noted: &Path) -> io::Result<Option<u32>> {
    let number = fs::read_to_string(interface.join("ifindex"))?;
    let (own, set) = (noted.join(number.trim()), noted.join(format!("{}.set", number.trim())));
    if !own.exists() {
        fs::write(&own, fs::read(interface.join("mtu"))?)?;
    }
    let settings = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    if settings.lines().any(|line| line.starts_with("MTUBytes=")) {
        return fs::write(&set, "").map(|()| None);
    }
    if !set.exists() {
        return Ok(None);
    }
    let bytes = fs::read_to_string(&own)?;
    let bytes =
        bytes.trim().parse().map_err(|_| io::Error::other(format!("{}: no number", own.display())))?;
    fs::write(interface.join("mtu"), format!("{bytes}\n"))?;
    fs::remove_file(&set)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_first_comes_back_once() {
        let place = tempfile::tempdir().unwrap();
        let [interfaces, files, noted] = ["net", "etc", "run"].map(|part| place.path().join(part));
        let eth0 = interfaces.join("eth0");
        let is = |bytes: &str| assert_eq!(fs::read_to_string(eth0.join("mtu")).unwrap().trim(), bytes);
        let run = || restore(&interfaces, &files, &noted).unwrap();
        fs::create_dir_all(eth0.join("device")).unwrap();
        fs::create_dir(interfaces.join("veth1")).unwrap();
        fs::create_dir(&files).unwrap();
        fs::write(eth0.join("ifindex"), "2\n").unwrap();
        fs::write(eth0.join("mtu"), "9001\n").unwrap();
        assert_eq!(run(), []);

        // Nobody set it: whoever else changes it is left alone.
        fs::write(eth0.join("mtu"), "1460\n").unwrap();
        assert_eq!(run(), []);
        is("1460");

        let file = files.join("10-eth0.network");
        for _ in 0..2 {
            fs::write(&file, "[Match]\nName=eth0\n[Link]\nMTUBytes=600\n").unwrap();
            assert_eq!(run(), []);
            is("1460");
            fs::write(eth0.join("mtu"), "600\n").unwrap();
            fs::write(&file, "[Match]\nName=eth0\n").unwrap();
            assert_eq!(run(), [("eth0".to_owned(), 9001)]);
            is("9001");
            assert_eq!(run(), []);
            fs::write(eth0.join("mtu"), "1460\n").unwrap();
        }
    }

    #[test]
    fn one_that_cannot_be_read_holds_up_no_other() {
        let place = tempfile::tempdir().unwrap();
        let [interfaces, files, noted] = ["net", "etc", "run"].map(|part| place.path().join(part));
        for name in ["a", "b"] {
            fs::create_dir_all(interfaces.join(name).join("device")).unwrap();
        }
        fs::create_dir(&files).unwrap();
        fs::write(interfaces.join("b/ifindex"), "7\n").unwrap();
        fs::write(interfaces.join("b/mtu"), "1500\n").unwrap();
        assert!(restore(&interfaces, &files, &noted).unwrap_err().to_string().starts_with("a: "));
        assert_eq!(fs::read_to_string(noted.join("7")).unwrap(), "1500\n");
    }
}
