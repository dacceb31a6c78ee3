//! Names the evaluator after its sources: code that it lowered and kept is
//! valid for this evaluator only.

use std::path::{Path, PathBuf};

fn main() {
    let folder = Path::new("src/lang");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    gather(folder, &mut files);
    files.sort();
    // Another tokenizer may find other tokens.
    let lock = PathBuf::from("../Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    files.push(lock);
    let mut hasher = blake3::Hasher::new();
    for file in &files {
        let text = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        hasher.update(file.as_os_str().as_encoded_bytes());
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(&text);
    }
    println!("cargo:rustc-env=OSBUILD_LANGUAGE={}", hasher.finalize().to_hex());
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() { gather(&path, files) } else { files.push(path) }
    }
}
