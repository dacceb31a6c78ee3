//! dev only: run a builtin: NAME PARAMS.json MAP.json OUT...
use osbuild_core::build::builtin::*;
use osbuild_store::action::OutputName;
use std::collections::BTreeMap;
use std::path::PathBuf;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let p = serde_json::from_slice(&std::fs::read(&a[2]).unwrap()).unwrap();
    let outs: BTreeMap<OutputName, PathBuf> = a[3..]
        .iter()
        .map(|o| {
            let (n, p) = o.split_once('=').unwrap();
            (OutputName::new(n).unwrap(), PathBuf::from(p))
        })
        .collect();
    let cache = PathBuf::from("/work/image-dev/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let b = BUILTINS.iter().find(|b| b.name == a[1]).unwrap();
    let t = std::time::Instant::now();
    let r = (b.run)(&BuiltinContext {
        parameters: p,
        name: "x",
        outputs: &outs,
        physical: &|s: &str| Ok(PathBuf::from(s)),
        cache: &cache,
        jobs: 2,
        log: &|l| eprintln!("log: {l}"),
        progress: &|_, _| {},
        cancelled: &|| false,
    });
    match r {
        Ok(()) => eprintln!("{} ok {:?}", a[1], t.elapsed()),
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(1)
        }
    }
}
