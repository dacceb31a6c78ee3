//! An archive of small files (POSIX.1-1988, ustar), for whoever unpacks it
//! elsewhere.

const BLOCK_BYTES: usize = 512;
/// Of a name; longer ones would need a prefix.
const NAME_BYTES: usize = 100;

/// Files one after the other.
#[derive(Default)]
pub(crate) struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    /// Adds a file that its owner alone may read. `at` is in seconds since
    /// 1970.
    ///
    /// # Panics
    /// If the name has more than 100 bytes.
    pub(crate) fn add(&mut self, name: &str, at: u64, contents: &[u8]) {
        assert!(name.len() <= NAME_BYTES, "names of an archive are short");
        let mut header = [0u8; BLOCK_BYTES];
        let mut put =
            |offset: usize, text: &str| header[offset..offset + text.len()].copy_from_slice(text.as_bytes());
        put(0, name);
        put(100, "0000600\0");
        put(108, "0000000\0");
        put(116, "0000000\0");
        put(124, &format!("{:011o}\0", contents.len()));
        put(136, &format!("{:011o}\0", at.min(0o77_777_777_777)));
        // While it is summed, the sum counts as spaces.
        put(148, "        ");
        put(156, "0");
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(contents);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The archive, with the two empty blocks at its end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK_BYTES, 0);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn another_program_unpacks_it() {
        let mut tar = Tar::default();
        tar.add("node/a.json", 1_700_000_000, b"{}\n");
        tar.add("node/empty", 0, b"");
        tar.add("node/b.txt", 0, &[b'x'; 600]);
        let mut judge = Command::new("tar")
            .args(["--list", "--verbose", "--utc", "--numeric-owner", "--file=-"])
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        judge.stdin.take().unwrap().write_all(&tar.finish()).unwrap();
        let said = judge.wait_with_output().unwrap();
        assert!(said.status.success());
        let said = String::from_utf8(said.stdout).unwrap();
        let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["-rw-------", "0/0", "3", "2023-11-14", "22:13", "node/a.json"]);
        assert_eq!((lines[1][2], lines[2][2], lines.len()), ("0", "600", 3));
    }
}
