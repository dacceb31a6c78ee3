//! QCOW2, version 3, written in one pass without snapshots or compression.
//!
//! Source: QEMU's `docs/interop/qcow2.txt`. The places of all clusters follow
//! from the list of runs, so tables come first and data streams behind them.

use std::io::{self, Write};

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Entries of eight bytes in a cluster.
const TABLE_ENTRIES: u64 = CLUSTER / 8;
/// Reference counts of two bytes in a cluster.
const COUNTS: u64 = CLUSTER / 2;
/// The cluster is referred to exactly once, so it may be written in place.
const COPIED: u64 = 1 << 63;

/// Writes a disk of `size_bytes` whose runs (offset, length) are given, sorted;
/// `read` fills a buffer from an offset of the disk.
///
/// # Errors
/// Reading or writing failed.
pub fn write(
    out: &mut impl Write,
    size_bytes: u64,
    runs: &[(u64, u64)],
    mut read: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let used = used_clusters(runs);
    let l1_entries = size_bytes.div_ceil(CLUSTER).div_ceil(TABLE_ENTRIES);
    let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER);
    let mut l2_tables: Vec<u64> = used.iter().map(|cluster| cluster / TABLE_ENTRIES).collect();
    l2_tables.dedup();
    let rest = 1 + l1_clusters + l2_tables.len() as u64 + used.len() as u64;
    let (table_clusters, blocks) = refcount_clusters(rest);

    // Header, L1, refcount table, refcount blocks, L2 tables, data.
    let l1 = 1;
    let refcount_table = l1 + l1_clusters;
    let refcount_blocks = refcount_table + table_clusters;
    let l2 = refcount_blocks + blocks;
    let data = l2 + l2_tables.len() as u64;
    let total = data + used.len() as u64;

    let mut header = Vec::new();
    header.extend_from_slice(b"QFI\xfb");
    for (value, bytes) in [
        (3, 4),
        (0, 8),
        (0, 4),
        (u64::from(CLUSTER_BITS), 4),
        (size_bytes, 8),
        (0, 4),
        (l1_entries, 4),
        (l1 * CLUSTER, 8),
        (refcount_table * CLUSTER, 8),
        (table_clusters, 4),
        (0, 4),
        (0, 8),
        (0, 8),
        (0, 8),
        (0, 8),
        (4, 4),
        (104, 4),
    ] {
        header.extend_from_slice(&value.to_be_bytes()[8 - bytes..]);
    }
    write_padded(out, &header, 1)?;
    let mut table = vec![0; l1_entries as usize];
    for (index, number) in l2_tables.iter().enumerate() {
        table[*number as usize] = ((l2 + index as u64) * CLUSTER) | COPIED;
    }
    write_padded(out, &big_endian(&table), l1_clusters)?;
    let places: Vec<u64> = (0..blocks).map(|block| (refcount_blocks + block) * CLUSTER).collect();
    write_padded(out, &big_endian(&places), table_clusters)?;
    let counts: Vec<u8> = (0..total).flat_map(|_| 1u16.to_be_bytes()).collect();
    write_padded(out, &counts, blocks)?;
    let mut next = used.iter().enumerate().peekable();
    for number in &l2_tables {
        let mut table = vec![0; TABLE_ENTRIES as usize];
        while let Some((index, cluster)) = next.next_if(|(_, cluster)| *cluster / TABLE_ENTRIES == *number) {
            table[(cluster % TABLE_ENTRIES) as usize] = ((data + index as u64) * CLUSTER) | COPIED;
        }
        out.write_all(&big_endian(&table))?;
    }
    let mut buffer = vec![0; CLUSTER as usize];
    for cluster in used {
        buffer.fill(0);
        let length = CLUSTER.min(size_bytes - cluster * CLUSTER) as usize;
        read(cluster * CLUSTER, &mut buffer[..length])?;
        out.write_all(&buffer)?;
    }
    Ok(())
}

/// The size that a QCOW2 file's guest sees.
pub fn virtual_size(header: &[u8]) -> Option<u64> {
    let bytes = header.get(24..32).filter(|_| header.starts_with(b"QFI\xfb"))?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

fn used_clusters(runs: &[(u64, u64)]) -> Vec<u64> {
    let mut used: Vec<u64> = runs
        .iter()
        .filter(|(_, length)| *length > 0)
        .flat_map(|(offset, length)| offset / CLUSTER..=(offset + length - 1) / CLUSTER)
        .collect();
    used.dedup();
    used
}

/// Clusters of the refcount table and its blocks, which count themselves too.
fn refcount_clusters(rest: u64) -> (u64, u64) {
    let (mut table, mut blocks) = (1, 1);
    loop {
        let needed = (rest + table + blocks).div_ceil(COUNTS);
        let needed_table = needed.div_ceil(TABLE_ENTRIES);
        if (needed_table, needed) == (table, blocks) {
            return (table, blocks);
        }
        (table, blocks) = (needed_table, needed);
    }
}

fn big_endian(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn write_padded(out: &mut impl Write, bytes: &[u8], clusters: u64) -> io::Result<()> {
    out.write_all(bytes)?;
    out.write_all(&vec![0; (clusters * CLUSTER) as usize - bytes.len()])
}
