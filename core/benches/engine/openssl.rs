//! How fast one core can hash, by OpenSSL's word.

use std::process::Command;

use crate::measure::run;

/// Milliseconds of processor time that a MiB takes, in blocks as large as ours.
/// The machine is not as fast at all times, so this is measured in turns with
/// what is compared with it.
pub(crate) fn sha256_ms() -> f64 {
    let words = ["speed", "-evp", "sha256", "-bytes", "65536", "-seconds", "1"];
    let text = run(Command::new("openssl").args(words));
    let rate = text.split_whitespace().last().and_then(|word| word.strip_suffix('k'));
    let rate = rate.and_then(|number| number.parse::<f64>().ok());
    let bytes_a_second = rate.expect("its last word is the rate") * 1e3;
    (1 << 20) as f64 / bytes_a_second * 1e3
}
