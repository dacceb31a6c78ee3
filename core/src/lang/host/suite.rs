//! What every host promises, checked on each.

use std::path::Path;

use super::{FileKind, Host};

/// The files that [`check`] expects, for hosts over a real directory.
pub(crate) fn write(root: &Path) {
    std::fs::create_dir_all(root.join("dir")).unwrap();
    std::fs::write(root.join("dir/file"), "text").unwrap();
    std::os::unix::fs::symlink("dir/file", root.join("link")).unwrap();
}

pub(crate) fn check(host: &dyn Host, root: &Path) {
    assert_eq!(host.read_file(&root.join("dir/file")).unwrap(), b"text");
    assert_eq!(host.read_file(&root.join("link")).unwrap(), b"text");
    assert_eq!(host.file_kind(&root.join("dir")).unwrap(), Some(FileKind::Directory));
    assert_eq!(host.file_kind(&root.join("link")).unwrap(), Some(FileKind::Symlink));
    assert_eq!(
        host.file_kind(&root.join("dir/file")).unwrap(),
        Some(FileKind::Regular { executable: false })
    );
    assert_eq!(host.file_kind(&root.join("nothing")).unwrap(), None);
    assert_eq!(host.read_link(&root.join("link")).unwrap(), b"dir/file");
    let mut entries = host.read_dir(root).unwrap();
    entries.sort();
    let names: Vec<&[u8]> = entries.iter().map(|(name, _)| name.as_slice()).collect();
    assert_eq!(names, [&b"dir"[..], b"link"]);
    let error = host.read_file(&root.join("nothing")).unwrap_err();
    assert!(error.message.contains("nothing' does not exist"), "{error:?}");
}
