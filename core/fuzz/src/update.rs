//! What a fuzzer asserts about what a node downloads of a release.

use osbuild_delta::Error;
use osbuild_delta::apply::apply;
use osbuild_delta::chunks::{Fetch, Index, plan};
use osbuild_delta::plan::{Limits, Plan};
use osbuild_tuf::time::Time;
use osbuild_update::decide;
use osbuild_update::documents::{Catalogue, Rollout};

/// The image that the seeds' deltas are from.
const OLD: &[u8] = include_bytes!("../images/old.squashfs");

/// Less than a node has, so that what takes more than it may is found soon.
const LIMITS: Limits = Limits { memory_bytes: 24 << 20, new_bytes: 1 << 20 };

/// A delta, applied: its steps make what the head says and no more, in order.
pub fn delta(bytes: &[u8]) {
    let planned = Plan::read(&mut &*bytes, &LIMITS);
    if let Ok(plan) = &planned {
        let mut end = 0;
        for (index, step) in plan.steps().iter().enumerate() {
            assert!(step.output_offset == end && step.output_bytes > 0, "steps follow each other");
            assert_eq!(plan.resume_at(end), index, "and each is found by its place");
            end += step.output_bytes;
        }
        assert_eq!(end, plan.new_image().bytes, "steps make the image");
        assert!(plan.memory_bytes() <= LIMITS.memory_bytes, "within what they may take");
    }
    let mut made = 0;
    let applied = apply(OLD, bytes, &LIMITS, &mut |place, part: &[u8]| {
        assert_eq!(place, made, "bytes come in order");
        made += part.len() as u64;
        Ok(())
    });
    match (planned, applied) {
        (Ok(plan), applied) => {
            assert!(made <= plan.new_image().bytes, "nothing comes behind the image");
            assert!(applied.is_err() || made == plan.new_image().bytes, "and nothing is left out");
        }
        (Err(refused), Err(applied)) => {
            assert_eq!((refused.to_string(), made), (applied.to_string(), 0), "a refused delta does nothing");
            assert!(!matches!(applied, Error::WriteNew(_)), "nobody refused to write");
        }
        (Err(refused), Ok(_)) => panic!("applied what was refused: {refused}"),
    }
}

/// An index of chunks: what is read is written as it was, and with no image to
/// copy from all of its own is fetched, by one request.
pub fn chunks(bytes: &[u8]) {
    let Ok(index) = Index::parse(bytes) else { return };
    assert_eq!(index.to_bytes(), bytes, "only what we would write is accepted");
    let whole: Fetch = plan(&index, [], 0);
    assert_eq!(whole.download_bytes(), index.image().bytes, "all of it is fetched");
    assert!(whole.downloads().count() <= 1, "at once");
}

/// What a repository says of its releases: a catalogue, and from the second
/// document on how they are given out. Whatever they say, a node goes to none
/// that is older than what it runs, below its floor or refused, paused or not
/// given out.
pub fn documents(bytes: &[u8]) {
    let mut parts = bytes.split(|byte| *byte == 0);
    let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(catalogue) = Catalogue::parse(first) else { return };
    let again = Catalogue::parse(&catalogue.to_bytes()).expect("what was written is read");
    assert_eq!(again, catalogue, "as the same");
    let rollout = Rollout::parse(second).unwrap_or_else(|_| Rollout::empty());
    let again = Rollout::parse(&rollout.to_bytes()).expect("what was written is read");
    assert_eq!(again, rollout, "as the same");

    let refused = catalogue.releases.first().map(|release| release.root_hash.clone());
    let node = decide::Node {
        machine_id: "0123456789abcdef0123456789abcdef".to_owned(),
        running_index: 7,
        running_root_hash: "0".repeat(64),
        floor: 9,
        refused: refused.into_iter().collect(),
        rebuilt: None,
        wishes: decide::Wishes { now: second.len() % 2 == 1, ..decide::Wishes::default() },
    };
    for seconds in [0, 1_800_000_000, u64::MAX] {
        let judged = decide::judge(&node, &catalogue, &rollout, Time(seconds));
        assert_eq!(judged.len(), catalogue.releases.len(), "each is judged");
        let Some(chosen) = decide::choose(&judged) else { continue };
        assert!(
            chosen.rollback_index >= node.floor.max(node.running_index + 1),
            "neither older nor below the floor"
        );
        assert!(!node.refused.contains(&chosen.root_hash) && chosen.withdrawn.is_none());
        let given = rollout.releases.get(&chosen.root_hash).expect("it is given out");
        assert!(given.paused.is_none(), "and not held");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fuzzer that begins with what is refused at once finds little.
    #[test]
    fn seeds_get_as_far_as_they_should() {
        let seeds: [&[u8]; 3] = [
            include_bytes!("../seeds/delta/changed"),
            include_bytes!("../seeds/delta/same"),
            include_bytes!("../seeds/delta/another-level"),
        ];
        for seed in seeds {
            let applied = apply(OLD, seed, &LIMITS, &mut |_, _: &[u8]| Ok(()));
            assert!(applied.is_ok(), "{applied:?}");
        }
        assert!(Index::parse(include_bytes!("../seeds/chunks/small")).is_ok());
        let documents = include_bytes!("../seeds/documents/some");
        let (catalogue, rollout) = documents.split_at(documents.iter().position(|byte| *byte == 0).unwrap());
        assert_eq!(Catalogue::parse(catalogue).unwrap().releases.len(), 4);
        assert_eq!(Rollout::parse(&rollout[1..]).unwrap().releases.len(), 4);
    }
}
