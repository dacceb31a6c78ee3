//! `ssh-start`: first program of a host container that is reached by SSH.
//!
//! The user data are lines of `authorized_keys`; the server's own key stays
//! with the node. Nobody gets in without a key, and without a single one the
//! server is not even started: the container waits for its next user data,
//! which is a new start.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// What the node keeps for this container.
const KEPT: &str = "/.osbuild/kept";
const SERVER: &str = "/usr/sbin/sshd";
const KEYGEN: &str = "/usr/bin/ssh-keygen";
const CONFIGURATION: &str = "/etc/ssh/osbuild_config";

fn main() -> ExitCode {
    let error = match prepare(Path::new(KEPT), Path::new("/root")) {
        Ok(0) => {
            eprintln!("there is no key in the user data: nobody can log in");
            loop {
                std::thread::park();
            }
        }
        Ok(count) => {
            eprintln!("{count} keys may log in");
            Command::new(SERVER).args(["-D", "-e", "-f", CONFIGURATION]).exec()
        }
        Err(error) => error,
    };
    eprintln!("{error}");
    ExitCode::FAILURE
}

/// Makes what the server needs; how many keys may log in.
fn prepare(kept: &Path, home: &Path) -> io::Result<usize> {
    let directory = |path: &Path, mode| {
        DirBuilder::new().recursive(true).mode(mode).create(path)?;
        fs::set_permissions(path, Permissions::from_mode(mode))
    };
    directory(Path::new("/run/sshd"), 0o755)?;
    directory(home, 0o700)?;
    directory(&home.join(".ssh"), 0o700)?;
    own_key(KEYGEN, &kept.join("ssh_host_ed25519_key"))?;
    authorize(&kept.join("user-data"), &home.join(".ssh/authorized_keys"))
}

/// Makes the server's own key if there is none, or none that a power cut left
/// whole. It is there when it is on the disk, and under another name until
/// then, since `ssh-keygen` writes over nothing.
fn own_key(keygen: &str, own: &Path) -> io::Result<()> {
    if fs::metadata(own).is_ok_and(|metadata| metadata.len() > 0) {
        return Ok(());
    }
    let new = own.with_extension("new");
    for rest in [&new, &own.with_extension("new.pub")] {
        match fs::remove_file(rest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let made = Command::new(keygen)
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "node", "-f"])
        .arg(&new)
        .status()?;
    if !made.success() {
        return Err(io::Error::other(format!("{keygen} ended with {made}")));
    }
    File::open(&new)?.sync_all()?;
    fs::rename(&new, own)?;
    File::open(own.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn authorize(user_data: &Path, file: &Path) -> io::Result<usize> {
    let text = fs::read_to_string(user_data)?;
    let mut options = File::options();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())?;
    Ok(text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_key_is_made_where_there_is_none_or_an_empty_one() {
        let place = std::env::temp_dir().join(format!("ssh-start-key-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        // As ssh-keygen, it writes over nothing.
        let keygen = place.join("keygen");
        let script = "#!/bin/sh\nwhile [ \"$1\" != -f ]; do shift; done\n[ ! -e \"$2\" ] && echo key > \"$2\" && echo pub > \"$2.pub\"\n";
        fs::write(&keygen, script).unwrap();
        fs::set_permissions(&keygen, Permissions::from_mode(0o755)).unwrap();
        let keygen = keygen.display().to_string();
        let own = place.join("own_key");
        for left in [&[][..], &["own_key"], &["own_key", "own_key.new", "own_key.new.pub"]] {
            for name in left {
                fs::write(place.join(name), "").unwrap();
            }
            own_key(&keygen, &own).unwrap();
            assert_eq!(fs::read_to_string(&own).unwrap(), "key\n", "{left:?}");
        }
        fs::write(&own, "kept").unwrap();
        own_key("/nonexistent", &own).unwrap();
        assert_eq!(fs::read_to_string(&own).unwrap(), "kept");
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn keys_are_counted_and_kept_from_others() {
        let place = std::env::temp_dir().join(format!("ssh-start-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let (user_data, file) = (place.join("user-data"), place.join("keys"));
        for (text, count) in [("", 0), ("# none\n\n", 0), ("ssh-ed25519 AAAA a\n", 1), ("a\n#b\nc", 2)] {
            fs::write(&user_data, text).unwrap();
            assert_eq!(authorize(&user_data, &file).unwrap(), count, "{text:?}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(&place).unwrap();
    }
}
