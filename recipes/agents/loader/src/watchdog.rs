//! Arms a hardware watchdog before the kernel is started, so that a kernel
//! that hangs early costs a try and not the node.
//!
//! Source: Intel 6300ESB data sheet, "Watch Dog Timer". Other devices are left
//! alone; the node then says that early hangs are not covered.

use core::arch::asm;

/// Long enough for the slowest start until `early` opens the device.
const TIMEOUT_SECONDS: u32 = 180;

const VENDOR_AND_DEVICE: u32 = 0x25ab_8086;
/// Configuration space.
const COMMAND: u8 = 0x04;
const COMMAND_MEMORY: u32 = 1 << 1;
const BASE_ADDRESS: u8 = 0x10;
const CONFIG: u8 = 0x60;
const LOCK: u8 = 0x68;
const LOCK_AND_ENABLE: u8 = 0x03;
/// Memory space.
const TIMER_1: usize = 0x00;
const TIMER_2: usize = 0x04;
const RELOAD: usize = 0x0c;
const UNLOCK: [u16; 2] = [0x80, 0x86];
const RELOAD_NOW: u16 = 0x100;

/// Arms the device if it is on the first bus, where virtual machines and the
/// chipset that it was part of have it.
pub(crate) fn arm() {
    for device in 0..32 {
        let at = |register: u8| 1 << 31 | device << 11 | u32::from(register);
        if read(at(0)) != VENDOR_AND_DEVICE {
            continue;
        }
        write(at(COMMAND), read(at(COMMAND)) | COMMAND_MEMORY);
        let base = (read(at(BASE_ADDRESS)) & !0xf) as usize;
        if base == 0 {
            return;
        }
        // No interrupt at the first stage, 1 kHz.
        write16(at(CONFIG), 0x0003);
        // Both stages count; each takes half, in units of about a millisecond.
        let half = TIMEOUT_SECONDS << 9;
        store32(base + TIMER_1, half);
        store32(base + TIMER_2, half);
        unlock(base);
        store16(base + RELOAD, RELOAD_NOW);
        // Locked, only a reset stops it: a kernel without the driver does not
        // switch it off by accident.
        write8(at(LOCK), LOCK_AND_ENABLE);
        return;
    }
}

/// Each write to a timer or to the reload register needs it.
fn unlock(base: usize) {
    for word in UNLOCK {
        store16(base + RELOAD, word);
    }
}

fn store32(address: usize, value: u32) {
    unlock(address & !0xf);
    // SAFETY: the address is inside the device's memory region, which was read
    // from its base address register and is mapped one to one at this stage.
    unsafe { (address as *mut u32).write_volatile(value) };
}

fn store16(address: usize, value: u16) {
    // SAFETY: as in `store32`.
    unsafe { (address as *mut u16).write_volatile(value) };
}

/// PCI configuration mechanism 1.
const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;

fn read(address: u32) -> u32 {
    select(address);
    let value;
    // SAFETY: reading configuration space changes nothing.
    unsafe {
        asm!("in eax, dx", in("dx") DATA, out("eax") value, options(nomem, nostack, preserves_flags));
    }
    value
}

fn write(address: u32, value: u32) {
    select(address);
    // SAFETY: as in `read`; only registers of the watchdog found are written.
    unsafe {
        asm!("out dx, eax", in("dx") DATA, in("eax") value, options(nomem, nostack, preserves_flags));
    }
}

/// A register of two bytes: QEMU's device takes no other size for it.
fn write16(address: u32, value: u16) {
    select(address);
    // SAFETY: as in `write`; registers begin at multiples of four.
    unsafe {
        asm!("out dx, ax", in("dx") DATA, in("ax") value, options(nomem, nostack, preserves_flags));
    }
}

/// A register of one byte.
fn write8(address: u32, value: u8) {
    select(address);
    // SAFETY: as in `write16`.
    unsafe {
        asm!("out dx, al", in("dx") DATA, in("al") value, options(nomem, nostack, preserves_flags));
    }
}

/// What the next access to the data port is to.
fn select(address: u32) {
    // SAFETY: this port does nothing but to take the address, and nothing else
    // runs that could use it before the access that follows.
    unsafe {
        asm!("out dx, eax", in("dx") ADDRESS, in("eax") address, options(nomem, nostack, preserves_flags));
    }
}
