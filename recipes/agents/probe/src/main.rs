//! Answers a challenge: prints SHA-256(nonce ‖ name) in hexadecimal.
//!
//! `probe NAME` reads the nonce from /nonce. With `--stay` it then waits, as a
//! pod that should keep running does. What it prints proves that this very
//! program ran in a container, after the challenge was made.

use sha2::{Digest, Sha256};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.iter().find(|argument| !argument.starts_with("--")).cloned().unwrap_or_default();
    let nonce = match std::fs::read("/nonce") {
        Ok(nonce) => nonce,
        Err(error) => {
            eprintln!("probe: cannot read /nonce: {error}");
            std::process::exit(1);
        }
    };
    let digest = Sha256::new().chain_update(&nonce).chain_update(name.as_bytes()).finalize();
    let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{text}");
    if arguments.iter().any(|argument| argument == "--stay") {
        loop {
            std::thread::sleep(std::time::Duration::from_secs(3600));
        }
    }
}
