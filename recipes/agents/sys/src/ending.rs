//! How the start before this one ended, by a file of PRIVATE that is there while
//! the node runs.
//!
//! A bad block that is read only after a start was committed panics the node,
//! and the next start gets as far: for ever, if nobody looked for the block
//! before committing. Neither a panic nor a hang can leave a word; an orderly
//! end can, so whatever left none is one that may have been such an end.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::{Failed, Result};

const NAME: &str = "runs";

/// Notes that a start has begun; whether the one before it has not
/// [ended](in_order) as it should.
///
/// # Errors
/// It cannot be noted, so that the next start will know nothing of this one.
pub fn begin(private: &Path) -> Result<bool> {
    let path = private.join(NAME);
    if path.exists() {
        return Ok(true);
    }
    let file = File::create(&path).map_err(Failed::at("create", &path))?;
    file.sync_all().map_err(Failed::at("sync", &path))?;
    sync(private)?;
    Ok(false)
}

/// The node goes down because somebody told it to.
///
/// # Errors
/// The next start takes it for cut off.
pub fn in_order(private: &Path) -> Result<()> {
    let path = private.join(NAME);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failed::at("remove", path)(error)),
        _ => sync(private),
    }
}

fn sync(folder: &Path) -> Result<()> {
    let opened = File::open(folder).and_then(|folder| folder.sync_all());
    opened.map_err(Failed::at("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_in_order_is_forgotten() {
        let folder = std::env::temp_dir().join(format!("ending-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(!begin(&folder).unwrap(), "nothing is known of an end before the first start");
        assert!(begin(&folder).unwrap(), "it was cut off");
        assert!(begin(&folder).unwrap(), "and again");
        in_order(&folder).unwrap();
        assert!(!begin(&folder).unwrap());
        in_order(&folder).unwrap();
        in_order(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(begin(&folder).is_err(), "there is nowhere to note it");
    }
}
