//! How fast one core can hash, by OpenSSL's word.

use std::process::Command;
use std::sync::OnceLock;

use crate::measure::run;

/// Bytes a second of processor time, in blocks as large as ours.
pub(crate) fn sha256_rate() -> f64 {
    static RATE: OnceLock<f64> = OnceLock::new();
    *RATE.get_or_init(|| {
        let words = ["speed", "-evp", "sha256", "-bytes", "262144", "-seconds", "3"];
        let text = run(Command::new("openssl").args(words));
        let kilobytes = text.split_whitespace().last().and_then(|word| word.strip_suffix('k'));
        kilobytes.and_then(|number| number.parse::<f64>().ok()).expect("its last word is the rate") * 1e3
    })
}
