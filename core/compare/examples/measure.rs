//! Compares two paths and prints what differs: for figures of time and memory,
//! and to try the engine by hand.
//!
//! `measure LEFT RIGHT SCRATCH`

use std::path::Path;

use osbuild_compare::{Limits, compare, report};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, left, right, scratch] = arguments.as_slice() else {
        eprintln!("usage: measure LEFT RIGHT SCRATCH");
        std::process::exit(2);
    };
    match compare(Path::new(left), Path::new(right), &Limits::default(), Path::new(scratch)) {
        Ok(None) => println!("equal"),
        Ok(Some(difference)) => print!("{}", report::text::render(&difference, left, right)),
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(1);
        }
    }
}
