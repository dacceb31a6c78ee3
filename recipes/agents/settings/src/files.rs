//! The few things that the store asks of a directory.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// A directory of small files. Writing is done when [`Files::write`] returns,
/// and survives a power cut once [`Files::sync`] and
/// [`Files::sync_directory`] have.
pub trait Files {
    /// Base names, in any order.
    ///
    /// # Errors
    /// Of the system.
    fn list(&self) -> io::Result<Vec<String>>;
    /// # Errors
    /// Of the system.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Makes the file, or makes it anew.
    ///
    /// # Errors
    /// Of the system.
    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Adds to the file, or makes it.
    ///
    /// # Errors
    /// Of the system.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// # Errors
    /// Of the system.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// # Errors
    /// Of the system.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// # Errors
    /// Of the system; that there is none is no error.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// # Errors
    /// Of the system.
    fn sync_directory(&mut self) -> io::Result<()>;
}

/// One on disk, for its owner alone: some settings are secret.
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes the directory if need be.
    ///
    /// # Errors
    /// Of the system.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self { path })
    }
}

impl Files for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.path.read_dir()? {
            // Names of ours are text; others are nobody's business.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut options = File::options();
        let mut file =
            options.create(true).truncate(true).write(true).mode(0o600).open(self.path.join(name))?;
        file.write_all(bytes)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut options = File::options();
        options.create(true).append(true).mode(0o600).open(self.path.join(name))?.write_all(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        File::open(self.path.join(name))?.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

#[cfg(test)]
pub(crate) mod memory {
    //! A directory that loses power.

    use std::collections::BTreeMap;

    use super::*;

    type Entries = BTreeMap<String, usize>;

    /// What is seen now, and what a power cut may leave of it. Each change of
    /// the directory is kept apart until it is synced, since any part of those
    /// that are not may be there afterwards, in order.
    #[derive(Clone, Default)]
    pub(crate) struct Memory {
        /// Contents by inode: as written, and as far as they are synced.
        inodes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
        entries: Entries,
        synced: Entries,
        /// States of the directory since it was synced, oldest first.
        since: Vec<Entries>,
        /// Operations that may still happen before the power goes.
        pub(crate) left: Option<usize>,
    }

    impl Memory {
        fn step(&mut self) -> io::Result<()> {
            if let Some(left) = &mut self.left {
                if *left == 0 {
                    return Err(io::Error::other("the power is gone"));
                }
                *left -= 1;
            }
            Ok(())
        }

        fn changed(&mut self) {
            self.since.push(self.entries.clone());
        }

        fn inode(&self, name: &str) -> io::Result<usize> {
            self.entries.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
        }

        /// Every directory that may be found after a power cut now.
        pub(crate) fn after_power_cut(&self) -> Vec<Self> {
            let mut found = Vec::new();
            for entries in [&self.synced].into_iter().chain(&self.since) {
                // Of what was not synced, there may be all, nothing, or a part.
                for kept in [usize::MAX, 0, 7] {
                    let inodes = self.inodes.iter().map(|(written, synced)| {
                        let bytes = match synced {
                            Some(synced) => synced.clone(),
                            None => written[..kept.min(written.len())].to_vec(),
                        };
                        (bytes.clone(), Some(bytes))
                    });
                    let inodes = inodes.collect();
                    let (entries, synced) = (entries.clone(), entries.clone());
                    found.push(Self { inodes, entries, synced, since: Vec::new(), left: None });
                }
            }
            found
        }

        /// Another content, as a disk that goes bad has it.
        pub(crate) fn spoil(&mut self, name: &str, bytes: &[u8]) {
            let inode = self.inode(name).unwrap();
            self.inodes[inode] = (bytes.to_vec(), Some(bytes.to_vec()));
        }
    }

    impl Files for Memory {
        fn list(&self) -> io::Result<Vec<String>> {
            Ok(self.entries.keys().cloned().collect())
        }

        fn read(&self, name: &str) -> io::Result<Vec<u8>> {
            Ok(self.inodes[self.inode(name)?].0.clone())
        }

        fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
            self.step()?;
            self.inodes.push((bytes.to_vec(), None));
            self.entries.insert(name.to_owned(), self.inodes.len() - 1);
            self.changed();
            Ok(())
        }

        fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
            let Ok(inode) = self.inode(name) else { return self.write(name, bytes) };
            self.step()?;
            self.inodes[inode].0.extend_from_slice(bytes);
            Ok(())
        }

        fn sync(&mut self, name: &str) -> io::Result<()> {
            self.step()?;
            let inode = self.inode(name)?;
            self.inodes[inode].1 = Some(self.inodes[inode].0.clone());
            Ok(())
        }

        fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
            self.step()?;
            let inode = self.inode(from)?;
            self.entries.remove(from);
            self.entries.insert(to.to_owned(), inode);
            self.changed();
            Ok(())
        }

        fn remove(&mut self, name: &str) -> io::Result<()> {
            self.step()?;
            self.entries.remove(name);
            self.changed();
            Ok(())
        }

        fn sync_directory(&mut self) -> io::Result<()> {
            self.step()?;
            self.synced = self.entries.clone();
            self.since.clear();
            Ok(())
        }
    }
}
