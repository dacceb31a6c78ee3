//! How much a comparison reads, unpacks and keeps.

/// Bounds of a comparison. What lies beyond one is counted or noted, never
/// dropped in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Containers within containers that are opened. A squashfs in a disk, an
    /// archive in it and a compressed member there make six.
    pub depth: usize,
    /// Differences kept below one thing.
    pub children: usize,
    /// Bytes of an excerpt, each side. Four lines of a dump by default.
    pub excerpt_bytes: usize,
    /// Lines of an excerpt, both sides together.
    pub excerpt_lines: usize,
    /// Bytes that one compressed stream or stored file may unpack to; they go
    /// to a scratch file.
    pub unpacked_bytes: u64,
    /// The same over the whole comparison, since a thing can hold many streams.
    pub unpacked_total_bytes: u64,
    /// Members of one container. Each costs up to a kilobyte of
    /// memory with its fields.
    pub members: usize,
    /// Size up to which lines and JSON are compared as such: both sides are in
    /// memory then. Larger ones are compared as bytes.
    pub text_bytes: u64,
    /// Bytes of one table of a program or a file system that is read whole.
    pub table_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 24,
            children: 200,
            excerpt_bytes: 64,
            excerpt_lines: 24,
            unpacked_bytes: 2 << 30,
            unpacked_total_bytes: 64 << 30,
            members: 100_000,
            text_bytes: 16 << 20,
            table_bytes: 32 << 20,
        }
    }
}
