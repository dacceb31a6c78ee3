//! What the rules need to know of an ELF file: 64-bit little-endian only,
//! which is what our systems run.
//!
//! Source: System V ABI, "Object Files" and "Program Loading and Dynamic
//! Linking".

use std::fs::File;
use std::os::unix::fs::FileExt;

/// A file's dynamic linking and hardening.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Elf {
    /// Executable or shared object: something that is loaded.
    pub(super) loadable: bool,
    pub(super) position_independent: bool,
    pub(super) interpreter: Option<String>,
    pub(super) needed: Vec<String>,
    /// `DT_RUNPATH`, else `DT_RPATH`; as written.
    pub(super) run_path: Vec<String>,
    pub(super) relro: bool,
    pub(super) bind_now: bool,
    pub(super) executable_stack: bool,
    pub(super) stack_protector: bool,
    pub(super) is_static: bool,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_GNU_STACK: u32 = 0x6474_e551;
const PT_GNU_RELRO: u32 = 0x6474_e552;
/// Bounds on what is read at once: real files stay far below.
const MAX_TABLE_BYTES: u64 = 16 << 20;

/// Reads a file; none if it is not an ELF file that we run, or damaged.
pub(super) fn read(file: &File) -> Option<Elf> {
    let header = bytes(file, 0, 64)?;
    if header[..6] != *b"\x7fELF\x02\x01" {
        return None;
    }
    let kind = u16_at(&header, 16)?;
    let (table, entry_bytes, count) =
        (u64_at(&header, 32)?, u64::from(u16_at(&header, 54)?), u64::from(u16_at(&header, 56)?));
    let mut elf = Elf {
        loadable: kind == 2 || kind == 3,
        position_independent: kind == 3,
        // Without the header, the kernel makes the stack executable.
        executable_stack: count > 0,
        ..Elf::default()
    };
    if count == 0 || entry_bytes < 56 {
        return Some(elf);
    }
    let programs = bytes(file, table, entry_bytes * count)?;
    let mut loads = Vec::new();
    let mut dynamic = None;
    for program in programs.chunks_exact(entry_bytes as usize) {
        let (kind, flags) = (u32_at(program, 0)?, u32_at(program, 4)?);
        let (offset, address, size) = (u64_at(program, 8)?, u64_at(program, 16)?, u64_at(program, 32)?);
        match kind {
            PT_LOAD => loads.push((address, offset, size)),
            PT_DYNAMIC => dynamic = Some((offset, size)),
            PT_INTERP => {
                let raw = bytes(file, offset, size.min(4096))?;
                elf.interpreter = Some(text(&raw, 0));
            }
            PT_GNU_STACK => elf.executable_stack = flags & 1 != 0,
            PT_GNU_RELRO => elf.relro = true,
            _ => {}
        }
    }
    let Some((offset, size)) = dynamic else {
        elf.is_static = elf.loadable;
        return Some(elf);
    };
    read_dynamic(file, &mut elf, &bytes(file, offset, size)?, &loads)?;
    elf.is_static = elf.interpreter.is_none() && elf.needed.is_empty();
    Some(elf)
}

fn read_dynamic(file: &File, elf: &mut Elf, table: &[u8], loads: &[(u64, u64, u64)]) -> Option<()> {
    let rows: Vec<(u64, u64)> = table
        .chunks_exact(16)
        .map_while(|row| Some((u64_at(row, 0)?, u64_at(row, 8)?)))
        .take_while(|(tag, _)| *tag != 0)
        .collect();
    let value = |tag| rows.iter().find(|(t, _)| *t == tag).map(|(_, v)| *v);
    let address = value(5)?;
    let (base, offset, _) = loads.iter().find(|(base, _, size)| (*base..base + size).contains(&address))?;
    let strings = bytes(file, offset + (address - base), value(10)?)?;
    for (tag, at) in &rows {
        match tag {
            1 => elf.needed.push(text(&strings, *at as usize)),
            // DF_BIND_NOW, DF_1_NOW and the old DT_BIND_NOW.
            24 => elf.bind_now = true,
            30 if at & 8 != 0 => elf.bind_now = true,
            0x6fff_fffb if at & 1 != 0 => elf.bind_now = true,
            _ => {}
        }
    }
    if let Some(at) = value(29).or_else(|| value(15)) {
        elf.run_path = text(&strings, at as usize).split(':').map(str::to_owned).collect();
    }
    elf.stack_protector = strings.split(|b| *b == 0).any(|name| name == b"__stack_chk_fail");
    Some(())
}

fn bytes(file: &File, offset: u64, size: u64) -> Option<Vec<u8>> {
    if size > MAX_TABLE_BYTES {
        return None;
    }
    let mut buffer = vec![0; size as usize];
    file.read_exact_at(&mut buffer, offset).ok()?;
    Some(buffer)
}

fn text(strings: &[u8], at: usize) -> String {
    let rest = strings.get(at..).unwrap_or_default();
    let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
    String::from_utf8_lossy(&rest[..end]).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
