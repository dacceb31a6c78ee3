//! `images INDEX`: imports into containerd the images that the root carries
//! for pods, before there are any.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use osbuild_images::{Containerd, carried};
use osbuild_sys::console::say;

const WHO: &str = "images";
/// Where kubelet has its images and containers.
const PODS: Containerd = Containerd::of("k8s.io");
const IMPORTING: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [index] = words.as_slice() else {
        eprintln!("usage: images INDEX");
        return ExitCode::from(2);
    };
    match import_all(Path::new(index)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            say(WHO, 3, &reason);
            ExitCode::FAILURE
        }
    }
}

fn import_all(index: &Path) -> Result<(), String> {
    for (reference, archive) in carried(index)? {
        let imported = PODS.import(&reference, &archive, IMPORTING);
        imported.map_err(|reason| format!("cannot import {archive}: {reason}"))?;
    }
    Ok(())
}
