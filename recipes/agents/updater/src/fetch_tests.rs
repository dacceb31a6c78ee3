//! Whose bytes a root is filled with. The samples are those of the repository's
//! tests; a mirror gives all of a file, whatever part it is asked for.

use std::sync::Mutex;

use super::*;
use crate::repository::tests::{Node, mirror, mirror_with};

const BLOCKS: u64 = 40;
const ALL: u64 = BLOCKS * BLOCK;
/// What the second release's list of chunks takes.
const INDEX_BYTES: u64 = 268;

/// A slot which knows what is to come, as a hash tree does.
struct Slot {
    wanted: Vec<u8>,
    is_there: Vec<bool>,
}

impl Slot {
    fn empty(wanted: &[u8]) -> Self {
        Self { wanted: wanted.to_vec(), is_there: vec![false; BLOCKS as usize] }
    }
}

impl Filling for Slot {
    fn missing(&mut self) -> Result<Vec<Range<u64>>, String> {
        let is_missing = |block: &u64| !self.is_there[*block as usize];
        let mut missing: Vec<Range<u64>> = Vec::new();
        for block in (0..BLOCKS).filter(is_missing) {
            match missing.last_mut() {
                Some(range) if range.end == block * BLOCK => range.end += BLOCK,
                _ => missing.push(block * BLOCK..(block + 1) * BLOCK),
            }
        }
        Ok(missing)
    }

    fn put(&mut self, first_block: u64, bytes: &[u8]) -> io::Result<()> {
        let at = (first_block * BLOCK) as usize;
        if self.wanted[at..at + bytes.len()] != *bytes {
            return Err(io::Error::other("a wrong block"));
        }
        self.is_there[at / BLOCK_BYTES..][..bytes.len() / BLOCK_BYTES].fill(true);
        Ok(())
    }
}

/// What was chosen, and what came of it.
#[derive(Default)]
struct Said(Mutex<Vec<(&'static str, Way, u64, u64)>>);

impl Observer for Said {
    fn chosen(&self, what: &'static str, way: Way, download_bytes: u64) {
        self.0.lock().unwrap().push((what, way, download_bytes, 0));
    }

    fn came(&self, bytes: u64) {
        self.0.lock().unwrap().last_mut().unwrap().3 += bytes;
    }
}

/// The newest release of a repository, by these of its ways.
fn ways(repository: &mut Repository<'_>, node: &Node, has_chunks: bool) -> Ways {
    let releases = &repository.catalogue.releases;
    let newest = releases.iter().max_by_key(|release| release.rollback_index).unwrap().clone();
    let mut named = |file: &str| {
        let name = repository.name(&node.line, &newest, file);
        let target = repository.target(&name).unwrap().unwrap();
        Named { name, target }
    };
    let chunks = has_chunks.then(|| named("root.chunks"));
    Ways { whole: named("root.squashfs"), delta: None, chunks }
}

fn bytes_of(node: &Node, sample: &str) -> Vec<u8> {
    let mut repository = node.open(Some(sample), Vec::new()).unwrap();
    let Named { name, target } = ways(&mut repository, node, false).whole;
    repository.whole(&name, &target).unwrap()
}

#[test]
fn wrong_bytes_of_one_place_do_not_keep_those_of_another_out() {
    let node = Node::new("fetch-spoiled");
    let wanted = bytes_of(&node, "new.tar");
    let spoiled = mirror_with("new.tar", |path, bytes| {
        if path.ends_with("root.squashfs") {
            bytes[5000] ^= 1;
        }
    });
    let fill = |places| {
        let mut repository = node.open(None, places).unwrap();
        let ways = ways(&mut repository, &node, false);
        let (mut slot, said) = (Slot::empty(&wanted), Said::default());
        let done = root(&repository, &ways, &[0; 0][..], 0, &mut slot, &said);
        (done, slot.missing().unwrap(), said.0.into_inner().unwrap())
    };
    let (done, missing, said) = fill(vec![spoiled.clone(), mirror("new.tar")]);
    assert_eq!((done, missing), (Ok(()), vec![]));
    assert_eq!(said, [(ROOT, Way::Whole, ALL, ALL); 2]);
    let (done, missing, said) = fill(vec![spoiled.clone()]);
    assert_eq!(done, Err(format!("Whole: {spoiled}: a wrong block")));
    assert_eq!((missing.len(), said.len()), (1, 1));
}

/// All of it comes again then, but it comes.
#[test]
fn a_server_without_parts_ends_what_was_begun() {
    let node = Node::new("fetch-parts");
    let wanted = bytes_of(&node, "new.tar");
    let mut repository = node.open(None, vec![mirror("new.tar")]).unwrap();
    let ways = ways(&mut repository, &node, false);
    let (mut slot, said) = (Slot::empty(&wanted), Said::default());
    slot.is_there[..10].fill(true);
    slot.is_there[20] = true;
    root(&repository, &ways, &[0; 0][..], 0, &mut slot, &said).unwrap();
    assert_eq!(slot.missing(), Ok(vec![]));
    let said = said.0.into_inner().unwrap();
    assert_eq!(said, [(ROOT, Way::Whole, 29 * BLOCK, 0), (ROOT, Way::Whole, ALL, ALL)]);
}

/// What cannot cost less than is known already is not asked for.
#[test]
fn chunks_are_looked_for_where_they_may_pay() {
    let node = Node::new("fetch-chunks");
    let wanted = bytes_of(&node, "new.tar");
    let mut old = wanted.clone();
    *old.last_mut().unwrap() ^= 1;
    let mut repository = node.open(Some("new.tar"), Vec::new()).unwrap();
    let mut fill = |delta_bytes: Option<u64>, is_there: u64| {
        let mut ways = ways(&mut repository, &node, true);
        ways.delta = delta_bytes.map(|length| {
            let Named { name, target } = &ways.whole;
            Named { name: format!("{name}.delta"), target: Target { length, ..target.clone() } }
        });
        let (mut slot, said) = (Slot::empty(&wanted), Said::default());
        slot.is_there[..is_there as usize].fill(true);
        let done = root(&repository, &ways, &old[..], ALL, &mut slot, &said);
        assert_eq!((done, slot.missing()), (Ok(()), Ok(vec![])));
        said.0.into_inner().unwrap()
    };
    let index = (INDEX, Way::Chunks, INDEX_BYTES, INDEX_BYTES);
    let [first, chunks] = fill(None, 0)[..] else { panic!("other ways") };
    assert_eq!(first, index);
    assert!(chunks.1 == Way::Chunks && chunks.2 < ALL && chunks.2 == chunks.3, "{chunks:?}");
    // Nobody has this delta: what was put off is done then.
    let lost = fill(Some(INDEX_BYTES), 0);
    assert_eq!(lost, [(ROOT, Way::Delta, INDEX_BYTES, 0), index, chunks]);
    // Where it was looked at before, that is not done again.
    assert!(INDEX_BYTES < chunks.2, "{chunks:?}");
    let lost = fill(Some(chunks.2 - 1), 0);
    assert_eq!(lost, [index, (ROOT, Way::Delta, chunks.2 - 1, 0), chunks]);
    assert_eq!(fill(Some(chunks.2 + 1), 0), [index, chunks]);
    assert_eq!(fill(None, BLOCKS), []);
}
