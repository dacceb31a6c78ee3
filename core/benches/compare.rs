//! Comparing two images beside diffoscope, in one run.
//!
//! ```sh
//! cargo bench -p osbuild-core --bench compare -- OLD NEW
//! ```
//!
//! `OLD` and `NEW` are files or folders, usually two outputs of one variant. CPU
//! is that of each program with all that it starts, memory the peak of the
//! largest process among them. Each is run once: diffoscope takes minutes.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use osbuild_compare::{Limits, compare};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    // Cargo adds a word of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ours", old, new] => ours(Path::new(old), Path::new(new)),
        // A process of its own, so that the figures are of its one child.
        ["measure", name, ref command @ ..] => measure(name, command),
        [old, new] => {
            let this = std::env::current_exe()?;
            let this = this.to_str().ok_or("the path of this program is no UTF-8")?;
            let diffoscope = std::env::var("OSBUILD_DIFFOSCOPE").unwrap_or_else(|_| "diffoscope".to_owned());
            let run =
                |words: &[&str]| Command::new(this).arg("measure").args(words).args([old, new]).status();
            for words in [
                &["ours", this, "ours"][..],
                &["diffoscope", &diffoscope, "--no-progress", "--text", "/dev/null"],
            ] {
                if !run(words)?.success() {
                    return Err(format!("{} failed", words[0]).into());
                }
            }
            Ok(())
        }
        _ => Err("usage: compare OLD NEW".into()),
    }
}

fn ours(old: &Path, new: &Path) -> Outcome {
    let scratch = tempfile::tempdir()?;
    let mut leaves = 0;
    if let Some(difference) = compare(old, new, &Limits::default(), scratch.path())? {
        difference.for_each_leaf(&mut |_, _| leaves += 1);
    }
    println!("{leaves} places differ");
    Ok(())
}

fn measure(name: &str, command: &[&str]) -> Outcome {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let begin = Instant::now();
    let status = Command::new(program).args(arguments).status()?;
    let wall = begin.elapsed().as_secs_f64();
    // diffoscope says with 1 that something differs.
    if !(status.success() || name == "diffoscope" && status.code() == Some(1)) {
        return Err(format!("{program}: {status}").into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
    println!("{name}: {cpu:.1} s CPU, {wall:.1} s wall, {} MiB", usage.max_rss() >> 10);
    Ok(())
}
