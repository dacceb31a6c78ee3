//! The two effects: a disk, and the record on PRIVATE.

use osbuild_boot::gpt::Disk;
use osbuild_boot::private::Private;

/// A disk that can be read past its caches.
pub trait Medium: Disk<Error: std::error::Error + Send + Sync + 'static> {
    /// Reads whole sectors as the medium has them (by O_DIRECT, or once the
    /// kernel's buffers are gone), so that what is verified is what the next
    /// start will find. There is no default: a read through the cache would
    /// only prove that the memory is sound.
    ///
    /// # Errors
    /// The medium cannot be read there.
    fn read_back(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), Self::Error>;
}

/// PRIVATE's record of two generations.
pub trait Record {
    type Error: std::error::Error + Send + Sync + 'static;

    /// The generation that counts; the default if there is none.
    fn load(&mut self) -> Private;

    /// Writes the next generation over the older one; returns once it is on
    /// the medium.
    ///
    /// # Errors
    /// Writing failed; the generation before is intact.
    fn save(&mut self, state: Private) -> Result<(), Self::Error>;
}
