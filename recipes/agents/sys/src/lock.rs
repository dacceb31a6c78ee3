//! One at a time, among programs: whoever holds the lock and dies lets go.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use crate::{Failed, Result};

/// Waits for its turn, which ends when what it returns is dropped.
///
/// # Errors
/// The file cannot be made or locked.
pub fn exclusive(path: &str) -> Result<File> {
    let lock = File::create(path).map_err(Failed::at("create", path))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(Failed::at("lock", path))?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_second_waits_for_the_first() {
        let path = std::env::temp_dir().join(format!("lock-test-{}", std::process::id()));
        let path = path.display().to_string();
        let first = exclusive(&path).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let place = path.clone();
        let second = std::thread::spawn(move || {
            let _lock = exclusive(&path).unwrap();
            sender.send(()).unwrap();
        });
        assert!(receiver.recv_timeout(Duration::from_millis(200)).is_err());
        drop(first);
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        second.join().unwrap();
        std::fs::remove_file(place).unwrap();
    }
}
