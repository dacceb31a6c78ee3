//! The disk that the loader was loaded from.

use alloc::vec;
use alloc::vec::Vec;
use core::mem::ManuallyDrop;

use osbuild_boot::gpt::{Disk, SECTOR_BYTES};
use uefi::boot::{self, OpenProtocolAttributes, OpenProtocolParams, ScopedProtocol};
use uefi::proto::device_path::DevicePath;
use uefi::proto::loaded_image::LoadedImage;
use uefi::proto::media::block::BlockIO;
use uefi::{Handle, Identify, Status};

/// One transfer; images of some 10 MB take a few dozen.
const BUFFER_BYTES: usize = 1 << 20;
/// Devices may demand any alignment up to a page.
const ALIGNMENT: usize = 4096;

/// A whole disk of 512-byte sectors.
pub(crate) struct BootDisk {
    block_io: Opened<BlockIO>,
    media_id: u32,
    sectors: u64,
    /// Transfers go through here, so that callers' buffers need no alignment.
    buffer: Vec<u8>,
    aligned: usize,
}

impl BootDisk {
    /// Finds the disk: of all whole disks, the one whose device path is the
    /// beginning of the partition's that the loader came from.
    pub(crate) fn find() -> Result<Self, Status> {
        let image = open::<LoadedImage>(boot::image_handle())?;
        let partition = image.device().ok_or(Status::NOT_FOUND)?;
        let path = open::<DevicePath>(partition)?;
        let handles = boot::locate_handle_buffer(boot::SearchType::ByProtocol(&BlockIO::GUID))
            .map_err(|e| e.status())?;
        for handle in handles.iter() {
            let Ok(block_io) = open::<BlockIO>(*handle) else { continue };
            let Ok(candidate) = open::<DevicePath>(*handle) else { continue };
            let media = block_io.media();
            let whole = !media.is_logical_partition() && media.is_media_present();
            if !whole || media.block_size() as usize != SECTOR_BYTES || !begins_with(&path, &candidate) {
                continue;
            }
            let (media_id, sectors) = (media.media_id(), media.last_block() + 1);
            let buffer = vec![0; BUFFER_BYTES + ALIGNMENT];
            let aligned = buffer.as_ptr().align_offset(ALIGNMENT);
            return Ok(Self { block_io, media_id, sectors, buffer, aligned });
        }
        Err(Status::NOT_FOUND)
    }

    /// Fills `bytes` from a sector on; the length need not be whole sectors.
    pub(crate) fn read_bytes(&mut self, sector: u64, bytes: &mut [u8]) -> Result<(), Status> {
        let mut sector = sector;
        for chunk in bytes.chunks_mut(BUFFER_BYTES) {
            let whole = chunk.len().next_multiple_of(SECTOR_BYTES);
            let buffer = &mut self.buffer[self.aligned..][..whole];
            self.block_io.read_blocks(self.media_id, sector, buffer).map_err(|e| e.status())?;
            chunk.copy_from_slice(&buffer[..chunk.len()]);
            sector += (whole / SECTOR_BYTES) as u64;
        }
        Ok(())
    }
}

impl Disk for BootDisk {
    type Error = Status;

    fn sector_count(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), Status> {
        self.read_bytes(sector, buffer)
    }

    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), Status> {
        let mut sector = sector;
        for chunk in bytes.chunks(BUFFER_BYTES) {
            let buffer = &mut self.buffer[self.aligned..][..chunk.len()];
            buffer.copy_from_slice(chunk);
            self.block_io.write_blocks(self.media_id, sector, buffer).map_err(|e| e.status())?;
            sector += (chunk.len() / SECTOR_BYTES) as u64;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Status> {
        self.block_io.flush_blocks().map_err(|e| e.status())
    }
}

/// A protocol that is never closed: the firmware forgets all of an image's
/// protocols when the image ends, and one that was opened twice (a partition's
/// path, say) cannot be closed twice.
type Opened<P> = ManuallyDrop<ScopedProtocol<P>>;

/// Opens a protocol beside whoever else has it open: opening the disk
/// exclusively would detach the partition that the loader came from.
fn open<P: uefi::proto::ProtocolPointer + ?Sized>(handle: Handle) -> Result<Opened<P>, Status> {
    let parameters = OpenProtocolParams { handle, agent: boot::image_handle(), controller: None };
    // SAFETY: boot services are single-threaded, and nothing that is called
    // while the protocol is open removes its device or driver.
    let opened = unsafe { boot::open_protocol::<P>(parameters, OpenProtocolAttributes::GetProtocol) };
    opened.map(ManuallyDrop::new).map_err(|error| error.status())
}

fn begins_with(path: &DevicePath, beginning: &DevicePath) -> bool {
    let mut nodes = path.node_iter();
    beginning.node_iter().all(|node| nodes.next().is_some_and(|other| other == node))
}
