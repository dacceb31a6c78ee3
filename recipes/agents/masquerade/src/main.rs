//! `masquerade ADDRESS/BITS`: what pods with addresses of this subnet send
//! beyond it leaves with the address of the node, since nobody else has a way
//! back to theirs.
//!
//! Between themselves, and with the node, they keep their addresses, as
//! Kubernetes has it. Nobody answers them at link-local addresses, where clouds
//! have their metadata services: user data may hold secrets of the node. A
//! cluster's own network has other addresses and its own rules; those here are
//! in a table of their own, which every run makes anew.

mod nftables;
mod subnet;

use std::process::ExitCode;

use subnet::Subnet;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [subnet] = words.as_slice() else {
        eprintln!("usage: masquerade ADDRESS/BITS");
        return ExitCode::from(2);
    };
    match masquerade(subnet) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("masquerade: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn masquerade(subnet: &str) -> Result<(), String> {
    let subnet: Subnet = subnet.parse()?;
    nftables::masquerade(subnet).map_err(|error| error.to_string())
}
