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
const LOCK_AND_ENABLE: u32 = 0x03;
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
        write(at(CONFIG), read(at(CONFIG)) & !0xffff | 0x0003);
        // Both stages count; each takes half, in units of about a millisecond.
        let half = TIMEOUT_SECONDS << 9;
        store32(base + TIMER_1, half);
        store32(base + TIMER_2, half);
        unlock(base);
        store16(base + RELOAD, RELOAD_NOW);
        // Locked, only a reset stops it: a kernel without the driver does not
        // switch it off by accident.
        write(at(LOCK), read(at(LOCK)) & !0xff | LOCK_AND_ENABLE);
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

/// PCI configuration mechanism 1: address to port 0xcf8, data at 0xcfc.
fn read(address: u32) -> u32 {
    let value;
    // SAFETY: these ports do nothing but configuration accesses, and nothing
    // else runs between the two instructions that could use them.
    unsafe {
        asm!("out dx, eax", in("dx") 0xcf8u16, in("eax") address, options(nomem, nostack, preserves_flags));
        asm!("in eax, dx", in("dx") 0xcfcu16, out("eax") value, options(nomem, nostack, preserves_flags));
    }
    value
}

fn write(address: u32, value: u32) {
    // SAFETY: as in `read`; only registers of the watchdog found are written.
    unsafe {
        asm!("out dx, eax", in("dx") 0xcf8u16, in("eax") address, options(nomem, nostack, preserves_flags));
        asm!("out dx, eax", in("dx") 0xcfcu16, in("eax") value, options(nomem, nostack, preserves_flags));
    }
}
