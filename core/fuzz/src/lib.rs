//! What a fuzzer asserts about each reader of foreign bytes.
//!
//! One function a reader: it takes any bytes, and panics if the reader crashes
//! or breaks a law that holds whatever the bytes are (what was read and is
//! written again is the same). `README.md` beside this says how to run them;
//! the test at the end runs them over the seeds.

mod archive;
pub mod compare;
pub mod export;
pub mod node;
pub mod tuf;
pub mod update;
mod worker;

use osbuild_core::derivation::aterm::{from_aterm, to_aterm};
use osbuild_core::lang::regex::Regex;
use osbuild_core::lang::source::{Origin, Pos};
use osbuild_core::lang::value::Value;
use osbuild_store::StoreDir;
use osbuild_store::nar::read_nar;
use osbuild_store::narinfo::NarInfo;

/// A program: parsed and lowered, not run.
pub fn language(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = text.to_owned();
    worker::run(move |evaluator| {
        if let Err(fault) = evaluator.lower_text(&text, Origin::String, "/".as_ref(), None) {
            // Messages quote the text, so showing them is part of reading it.
            let shown = fault.to_error(&evaluator.sources).to_string();
            assert!(!shown.is_empty(), "an error says something");
        }
    });
}

/// A regular expression and, after the first line, a text that it searches.
pub fn regex(bytes: &[u8]) {
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (pattern, text) = bytes.split_at(line);
    let text = text.get(1..).unwrap_or(b"");
    let (pattern, text) = (pattern.to_owned(), text.to_owned());
    worker::run(move |_| {
        let Ok(regex) = Regex::new(&pattern) else { return };
        if let Ok(Some(groups)) = regex.match_whole(&text) {
            assert_eq!(groups[0], Some((0, text.len())), "a whole match is the text");
        }
        let Ok(found) = regex.find_all(&text) else { return };
        let mut end = 0;
        for groups in found {
            let (from, to) = groups[0].expect("group 0 is set in every match");
            assert!(end <= from && from <= to && to <= text.len(), "matches ascend within the text");
            end = to;
            for (start, stop) in groups.into_iter().flatten() {
                assert!(start <= stop && stop <= text.len(), "groups lie within the text");
            }
        }
    });
}

/// `fromJSON`; what it accepts, `toJSON` writes in a form that it reads again
/// as the same value.
pub fn json(bytes: &[u8]) {
    let bytes = bytes.to_owned();
    worker::run(move |evaluator| {
        let Some(value) = worker::call(evaluator, "fromJSON", &bytes) else { return };
        // Numbers that JSON cannot say (out of range) were refused above, so
        // all that was read can be written.
        let Ok((once, _)) = evaluator.json_of(value, Pos::NONE) else {
            return assert!(!is_utf8(&bytes), "what was read from UTF-8 can be written");
        };
        let again = worker::call(evaluator, "fromJSON", &once).expect("our own JSON is read");
        let (twice, _) = evaluator.json_of(again, Pos::NONE).ok().expect("and written");
        assert_eq!(once, twice, "reading and writing is stable");
    });
}

fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

/// `fromTOML`; the result is a set that can be shown.
pub fn toml(bytes: &[u8]) {
    let bytes = bytes.to_owned();
    worker::run(move |evaluator| {
        let Some(value) = worker::call(evaluator, "fromTOML", &bytes) else { return };
        assert!(matches!(value, Value::Attrs(_)), "a document is a table");
        evaluator.json_of(value, Pos::NONE).ok().expect("a document can be written as JSON");
    });
}

/// A `.drv` file: what is accepted is written back byte for byte.
pub fn aterm(bytes: &[u8]) {
    let store_dir = StoreDir::default();
    if let Ok(derivation) = from_aterm(bytes, &store_dir) {
        assert_eq!(to_aterm(&derivation, &store_dir), bytes, "only what we would write is accepted");
    }
}

/// A Nix archive: what is accepted is written back byte for byte.
pub fn nar(bytes: &[u8]) {
    let mut rest = bytes;
    let mut copy = archive::Copy::new();
    if read_nar(&mut rest, &mut copy).is_ok() {
        let read = bytes.len() - rest.len();
        assert!(copy.into_bytes() == bytes[..read], "only what we would write is accepted");
    }
}

/// What a cache says of an object: what was read is written in a form that is
/// read as the same, on lines of its own whatever the values held.
pub fn narinfo(bytes: &[u8]) {
    let store_dir = StoreDir::default();
    let Ok(info) = NarInfo::parse(bytes, &store_dir) else { return };
    let text = info.to_text(&store_dir);
    let again = NarInfo::parse(text.as_bytes(), &store_dir);
    assert_eq!(again.as_ref(), Ok(&info), "what was read is written and read as the same");
    assert_eq!(info.to_text(&store_dir), text, "and written alike");
    // Path, archive, compression, hash, size, references; the rest may be absent.
    let optional = [info.file_hash.is_some(), info.file_size_bytes.is_some(), info.deriver.is_some()];
    let optional = optional.into_iter().filter(|is_there| *is_there).count();
    let lines = 6 + optional + info.signatures.len() + usize::from(info.content_address.is_some());
    assert_eq!(text.lines().count(), lines, "no value begins a line of its own");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "nothing in it talks to a terminal");
    assert!((1..1 << 63).contains(&info.nar_size_bytes), "sizes are bounded");
    assert!(
        !info.url.starts_with('/') && !info.url.split(['/', '?']).any(|part| part == ".."),
        "archives are below the cache"
    );
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn check(folder: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).expect("the seeds are there").flatten() {
            if entry.path().is_file() {
                run(&std::fs::read(entry.path()).expect("readable"));
                count += 1;
            }
        }
        assert!(count > 0, "no seeds in {}", folder.display());
    }

    #[test]
    fn seeds_and_former_crashes_pass() {
        check("../tests/lang", super::language);
        check("seeds/language", super::language);
        check("seeds/regex", super::regex);
        check("seeds/json", super::json);
        check("seeds/toml", super::toml);
        check("seeds/aterm", super::aterm);
        check("seeds/nar", super::nar);
        check("seeds/narinfo", super::narinfo);
        check("seeds/user-data", super::node::user_data);
        check("seeds/settings-api", super::node::settings_api);
        check("seeds/settings-files", super::node::settings_files);
        check("seeds/template", super::node::template);
        check("seeds/delta", super::update::delta);
        check("seeds/chunks", super::update::chunks);
        check("seeds/documents", super::update::documents);
        check("images/repository", super::tuf::metadata);
        check("seeds/repository", super::tuf::repository);
        check("seeds/export", super::export::export);
        check("seeds/compare", super::compare::differing);
    }
}
