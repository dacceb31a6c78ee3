//! The ioctls that no safe crate offers.

#![allow(unsafe_code, reason = "ioctl has no safe form; each call below is one stanza")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `BLKPG_RESIZE_PARTITION`: tells the kernel a partition's new extent while
/// others of the same disk are in use. Offsets in bytes.
pub fn resize_partition(disk: impl AsFd, number: u32, start_bytes: u64, length_bytes: u64) -> io::Result<()> {
    #[repr(C)]
    struct Partition {
        start: i64,
        length: i64,
        number: i32,
        device_name: [u8; 64],
        volume_name: [u8; 64],
    }
    #[repr(C)]
    struct Argument {
        operation: i32,
        flags: i32,
        data_length: i32,
        data: *mut Partition,
    }
    const BLKPG: libc::c_ulong = 0x1269;
    const RESIZE: i32 = 3;
    let mut partition = Partition {
        start: start_bytes as i64,
        length: length_bytes as i64,
        number: number as i32,
        device_name: [0; 64],
        volume_name: [0; 64],
    };
    let mut argument = Argument {
        operation: RESIZE,
        flags: 0,
        data_length: size_of::<Partition>() as i32,
        data: &raw mut partition,
    };
    // SAFETY: the descriptor is open for the call; BLKPG reads one
    // `blkpg_ioctl_arg` (linux/blkpg.h), whose layout `Argument` has, and the
    // `blkpg_partition` it points to, which outlives the call.
    let result = unsafe { libc::ioctl(disk.as_fd().as_raw_fd(), BLKPG as _, &raw mut argument) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `BLKGETSIZE64`: the device's size in bytes.
pub fn device_size(device: impl AsFd) -> io::Result<u64> {
    const BLKGETSIZE64: libc::c_ulong = 0x8008_1272;
    let mut size = 0u64;
    // SAFETY: the descriptor is open for the call, and BLKGETSIZE64 writes one
    // u64 to the address given, which is that of a live local.
    let result = unsafe { libc::ioctl(device.as_fd().as_raw_fd(), BLKGETSIZE64 as _, &raw mut size) };
    if result == 0 { Ok(size) } else { Err(io::Error::last_os_error()) }
}

/// `WDIOC_GETSUPPORT`: what a watchdog says it is, as `i6300ESB timer`.
pub fn watchdog_identity(device: impl AsFd) -> io::Result<String> {
    /// linux/watchdog.h, `struct watchdog_info`.
    #[repr(C)]
    struct Info {
        options: u32,
        firmware_version: u32,
        identity: [u8; 32],
    }
    const WDIOC_GETSUPPORT: libc::c_ulong = 0x8028_5700;
    let mut info = Info { options: 0, firmware_version: 0, identity: [0; 32] };
    // SAFETY: the descriptor is open for the call, and WDIOC_GETSUPPORT writes
    // one `watchdog_info`, whose layout `Info` has, to the address given, which
    // is that of a live local.
    let result = unsafe { libc::ioctl(device.as_fd().as_raw_fd(), WDIOC_GETSUPPORT as _, &raw mut info) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let end = info.identity.iter().position(|byte| *byte == 0).unwrap_or(info.identity.len());
    Ok(String::from_utf8_lossy(&info.identity[..end]).into_owned())
}

/// `DM_TABLE_STATUS` with `DM_STATUS_TABLE_FLAG`: sends a filled `dm_ioctl`
/// buffer and returns it as the kernel left it.
pub(crate) fn device_mapper_table(control: impl AsFd, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
    const DM_TABLE_STATUS: libc::c_ulong = 0xc138_fd0c;
    // SAFETY: the descriptor is open for the call; the kernel reads and writes
    // at most `data_size` bytes (linux/dm-ioctl.h, offset 12), which
    // `dm::table` sets to the buffer's length.
    let result =
        unsafe { libc::ioctl(control.as_fd().as_raw_fd(), DM_TABLE_STATUS as _, buffer.as_mut_ptr()) };
    if result == 0 { Ok(buffer) } else { Err(io::Error::last_os_error()) }
}
