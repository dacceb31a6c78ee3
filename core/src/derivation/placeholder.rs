//! Strings that stand for output paths until these are known.
//!
//! Source: Nix, `downstreamPlaceholder` and `hashPlaceholder`.

use osbuild_store::StorePath;
use osbuild_store::base32::to_nix_base32;
use osbuild_store::path::output_path_name;
use sha2::{Digest, Sha256};

/// What a derivation writes where its own output path will stand.
pub fn own_output(output: &str) -> String {
    let digest = Sha256::digest(format!("nix-output:{output}"));
    format!("/{}", to_nix_base32(&digest))
}

/// What a derivation writes where the output of a floating input will stand.
///
/// `derivation` is the input's `.drv` path; its name without `.drv` enters.
pub fn upstream_output(derivation: &StorePath, output: &str) -> String {
    let name = derivation.derivation_name();
    let text = format!("nix-upstream-output:{}:{}", derivation.hash_part(), output_path_name(name, output));
    format!("/{}", to_nix_base32(&Sha256::digest(text)))
}
