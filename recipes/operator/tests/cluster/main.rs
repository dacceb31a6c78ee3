//! The operator with a real API server: etcd, kube-apiserver and the controller
//! of disruption budgets out of the package `control-plane`, which
//! `OSBUILD_CONTROL_PLANE` names. Nodes are objects without a machine, each with
//! a server that answers as the node's API does; pods run nowhere. The operator
//! is the program itself (the one that cargo built, or that `OSBUILD_OPERATOR`
//! names), with the rights that its manifests give.
//!
//!     OSBUILD_CONTROL_PLANE=$(osbuild build --no-link control-plane) cargo test --test cluster [-- CASE…]

mod cases;
mod machine;
mod plane;
mod proxy;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use plane::Plane;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    match runtime.block_on(run(&wanted)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(wanted: &[String]) -> Result<(), String> {
    let programs = std::env::var_os("OSBUILD_CONTROL_PLANE")
        .ok_or("OSBUILD_CONTROL_PLANE does not say where kube-apiserver and etcd are: `osbuild build --no-link control-plane` prints it")?;
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let plane = Plane::start(&PathBuf::from(programs), scratch.path()).await?;
    let mut failed = Vec::new();
    let mut count = 0;
    for (name, case) in cases::CASES {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let began = Instant::now();
        let outcome = case(&plane).await;
        count += 1;
        let took = began.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("{name}: passed in {took:.1} s"),
            Err(failure) => {
                println!("{name}: FAILED in {took:.1} s: {failure}");
                failed.push(*name);
            }
        }
    }
    println!("{} of {count} passed", count - failed.len());
    if count == 0 {
        return Err("no case is called so".to_owned());
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}\n{}", failed.join(", "), plane.logs())) }
}
