//! The files in which the kernel and the node's programs say how things are,
//! below a root, so that a test can make up a system.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

/// Of one such file.
const MOST_BYTES: u64 = 4 << 20;

pub struct System {
    root: PathBuf,
}

impl System {
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The one that runs.
    pub fn running() -> Self {
        Self::at("/")
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A file's text without the line's end; `None` if there is none.
    pub fn text(&self, path: &str) -> Option<String> {
        let bytes = self.bytes(path)?;
        Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(self.path(path)).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    pub fn json(&self, path: &str) -> Option<Value> {
        serde_json::from_slice(&self.bytes(path)?).ok()
    }

    /// An option that the kernel was built with: `y`, `n`, a number or a text;
    /// `None` if it does not say.
    pub fn kernel_option(&self, name: &str) -> Option<String> {
        let mut text = String::new();
        let packed = self.bytes("/proc/config.gz")?;
        flate2::read::GzDecoder::new(packed.as_slice()).take(MOST_BYTES).read_to_string(&mut text).ok()?;
        let prefix = format!("CONFIG_{name}=");
        let set = text.lines().find_map(|line| line.strip_prefix(prefix.as_str()));
        Some(set.unwrap_or("n").to_owned())
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// Names in a directory, in their order; none if it is not there.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }

    /// The last part of what a link names.
    pub fn link_name(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.path(path)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A system of these files; it is gone with the first part.
    pub fn made_of(files: &[(&str, &str)]) -> (tempfile::TempDir, System) {
        let place = tempfile::tempdir().unwrap();
        let system = System::at(place.path());
        for (path, text) in files {
            let path = system.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (place, system)
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        let (_place, system) = made_of(&[("/a/b", "text\n"), ("/a/c", "{")]);
        assert_eq!(system.text("/a/b").as_deref(), Some("text"));
        assert_eq!(system.json("/a/c"), None);
        assert_eq!(system.text("/x"), None);
        assert_eq!(system.names("/a"), ["b", "c"]);
        assert_eq!(system.names("/x"), [""; 0]);
        assert_eq!(system.link_name("/a/b"), None);
    }
}
