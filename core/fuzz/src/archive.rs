//! Writes again what a reader of archives reports.

use std::io::Read;

use osbuild_store::nar::{NarError, NarVisitor, NarWriter};

pub(crate) struct Copy(NarWriter<Vec<u8>>);

impl Copy {
    pub(crate) fn new() -> Self {
        Self(NarWriter::begin(Vec::new()).expect("memory takes writes"))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }
}

impl NarVisitor for Copy {
    type Error = NarError;

    fn directory(&mut self) -> Result<(), NarError> {
        self.0.begin_directory().map_err(written)
    }

    fn enter(&mut self, name: &[u8]) -> Result<(), NarError> {
        self.0.enter(name).map_err(written)
    }

    fn leave(&mut self) -> Result<(), NarError> {
        self.0.leave().map_err(written)
    }

    fn end_directory(&mut self) -> Result<(), NarError> {
        self.0.end_directory().map_err(written)
    }

    fn regular(&mut self, executable: bool, size: u64, contents: &mut dyn Read) -> Result<(), NarError> {
        self.0.regular(executable, size, contents, &mut |_| {}).map_err(written)?;
        Ok(())
    }

    fn symlink(&mut self, target: &[u8]) -> Result<(), NarError> {
        self.0.symlink(target).map_err(written)
    }
}

/// Memory takes every write, so what fails is the reading of contents.
fn written(source: std::io::Error) -> NarError {
    NarError::Stream { action: "copy", source }
}
