//! Which store paths an object may refer to, as its bytes are read.

use osbuild_nar::MentionScanner;

use crate::path::StorePath;

/// Looks for paths by their digests in what is written to it.
pub(super) type ReferenceScanner = MentionScanner<StorePath>;

pub(super) fn scanner<'p>(candidates: impl IntoIterator<Item = &'p StorePath>) -> ReferenceScanner {
    let digest =
        |path: &StorePath| path.hash_part().as_bytes().try_into().expect("a hash part has 32 characters");
    MentionScanner::new(candidates.into_iter().map(|path| (digest(path), path.clone())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write;

    use super::*;

    #[test]
    fn finds_digests_whatever_the_chunks() {
        let here = StorePath::new([7; 20], "here").unwrap();
        let absent = StorePath::new([8; 20], "absent").unwrap();
        let text = format!("xx0{}-here/bin\0", here.hash_part());
        for chunk in 1..text.len() {
            let mut scanner = scanner([&here, &absent]);
            for part in text.as_bytes().chunks(chunk) {
                scanner.write_all(part).unwrap();
            }
            assert_eq!(scanner.finish(), BTreeSet::from([here.clone()]), "chunks of {chunk}");
        }
    }

    #[test]
    fn a_digest_cut_short_is_none() {
        let here = StorePath::new([7; 20], "here").unwrap();
        let mut scanner = scanner([&here]);
        scanner.write_all(&here.hash_part().as_bytes()[..31]).unwrap();
        scanner.write_all(b"!").unwrap();
        assert!(scanner.finish().is_empty());
    }
}
