//! Is every object what it was registered as?

use super::LocalStore;
use crate::error::StoreError;
use crate::hash::HashSink;
use crate::nar::dump_path;
use crate::path::StorePath;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Bytes changed.
    Corrupt { path: StorePath, expected: String, actual: String },
    /// Files of a registered object are gone or unreadable.
    Unreadable { path: StorePath, reason: String },
    /// A registered object refers to one that is not.
    DanglingReference { path: StorePath, reference: StorePath },
}

/// What a check of the whole store found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    pub objects: usize,
    pub nar_bytes: u64,
    pub problems: Vec<Problem>,
    /// Names in `store/` that belong to no object: an interrupted process
    /// left them. Harmless; `gc` removes them.
    pub leftovers: Vec<String>,
}

impl LocalStore {
    /// Hashes one object again.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Missing`], or it cannot be read.
    pub fn check_object(&self, path: &StorePath) -> Result<u64, StoreError> {
        let info = self.info(path)?.ok_or_else(|| StoreError::Missing(path.clone()))?;
        let mut sink = HashSink::default();
        dump_path(&self.physical(path), &mut sink)?;
        let (actual, size_bytes) = sink.finish();
        if actual != info.nar_hash {
            let (expected, actual) = (info.nar_hash.to_sri(), actual.to_sri());
            return Err(StoreError::Corrupt { path: path.clone(), expected, actual });
        }
        Ok(size_bytes)
    }

    /// Checks every object; `progress` is told after each one.
    ///
    /// # Errors
    /// The database failed or is damaged; damaged objects are in the result.
    pub fn verify(&self, progress: &mut dyn FnMut(usize, usize)) -> Result<Verified, StoreError> {
        self.check_database()?;
        let paths = self.all_paths()?;
        let mut verified = Verified { objects: paths.len(), ..Verified::default() };
        for (index, path) in paths.iter().enumerate() {
            match self.check_object(path) {
                Ok(size) => verified.nar_bytes += size,
                Err(StoreError::Corrupt { path, expected, actual }) => {
                    verified.problems.push(Problem::Corrupt { path, expected, actual });
                }
                Err(e) => {
                    let cause = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
                    let reason = format!("{e}{cause}");
                    verified.problems.push(Problem::Unreadable { path: path.clone(), reason });
                }
            }
            let references = self.info(path)?.map(|info| info.references).unwrap_or_default();
            for reference in references.difference(&paths) {
                let (path, reference) = (path.clone(), reference.clone());
                verified.problems.push(Problem::DanglingReference { path, reference });
            }
            progress(index + 1, paths.len());
        }
        let objects = self.objects_dir();
        for entry in objects.read_dir().map_err(StoreError::io("list", &objects))? {
            let name = entry.map_err(StoreError::io("list", &objects))?.file_name();
            let name = name.to_string_lossy();
            if !StorePath::parse(&name).is_ok_and(|path| paths.contains(&path)) {
                verified.leftovers.push(name.into_owned());
            }
        }
        Ok(verified)
    }

    /// Drops the objects that `verified` found damaged, with whatever refers
    /// to them and with every file that could carry the damage on, so that they
    /// are made again when needed; how many.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn repair(&self, verified: &Verified) -> Result<usize, StoreError> {
        let objects = self.objects()?;
        let mut gone = vec![false; objects.nodes().len()];
        let mut dropped = 0;
        for problem in &verified.problems {
            let (Problem::Corrupt { path, .. }
            | Problem::Unreadable { path, .. }
            | Problem::DanglingReference { path, .. }) = problem;
            // An object is there with all that it refers to, or not at all.
            for node in
                objects.index_of(path).map(|node| objects.with_referrers(node, &mut gone)).unwrap_or_default()
            {
                self.forget(&objects.nodes()[node].path)?;
                dropped += 1;
            }
        }
        if dropped > 0 {
            self.drop_damaged_links()?;
        }
        Ok(dropped)
    }

    fn drop_damaged_links(&self) -> Result<(), StoreError> {
        let links = self.home().join("links");
        for group in links.read_dir().map_err(StoreError::io("list", &links))? {
            let group = group.map_err(StoreError::io("list", &links))?.path();
            for entry in group.read_dir().map_err(StoreError::io("list", &group))? {
                let link = entry.map_err(StoreError::io("list", &group))?.path();
                let mut hasher = blake3::Hasher::new();
                let file = std::fs::File::open(&link).map_err(StoreError::io("open", &link))?;
                hasher.update_reader(file).map_err(StoreError::io("read", &link))?;
                let name = link.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                if !name.starts_with(hasher.finalize().to_hex().as_str()) {
                    std::fs::remove_file(&link).map_err(StoreError::io("remove", &link))?;
                }
            }
        }
        Ok(())
    }
}
