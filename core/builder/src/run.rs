//! From an order to outputs and a report, in one directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use osbuild_nar::unpack_canonical;
use osbuild_sandbox::{
    Attached, BUILDER_IDS, Conditions, Ended, File as SandboxFile, SandboxError, SandboxSpec,
};

use crate::tree::{archive, remove};
use crate::{INPUTS, ORDER, OUTPUTS, Order, REPORT, Report, SCHEMA, Trouble, archive_name};

/// Runs the order in `directory`; the program's output goes to `output`.
///
/// # Errors
/// See [`Trouble`].
pub fn run(directory: &Path, output: &OwnedFd) -> Result<Report, Trouble> {
    let order = read_order(&directory.join(ORDER))?;
    let workplace = Workplace::new(directory)?;
    unpack_inputs(&order, directory, &workplace.objects)?;
    let ended = start(&order, &workplace, output)?;
    if let Some(how) = failure(ended.status) {
        return Err(Trouble::Failed { how });
    }
    let outputs = directory.join(OUTPUTS);
    fs::create_dir_all(&outputs).map_err(|error| Trouble::machine("cannot make a directory", &error))?;
    let mut report = Report {
        schema: SCHEMA,
        outputs: BTreeMap::new(),
        cpu_ms: ended.usage.cpu_ms,
        largest_bytes: ended.usage.largest_bytes,
    };
    for (output, name) in &order.outputs {
        let tree = workplace.scratch.join("store").join(name);
        let trouble = |reason: String| Trouble::Output { output: output.clone(), reason };
        if tree.symlink_metadata().is_err() {
            return Err(trouble("was not made by the builder".to_owned()));
        }
        let candidates = order.inputs.iter().chain(order.outputs.values());
        let archived = archive(&tree, &outputs.join(archive_name(output)), candidates)
            .map_err(|error| trouble(format!("cannot be archived: {}", crate::one_line(&error))))?;
        report.outputs.insert(output.clone(), archived);
    }
    let text = serde_json::to_vec(&report).expect("a report serialises");
    fs::write(outputs.join(REPORT), text)
        .map_err(|error| Trouble::machine("cannot write the report", &error))?;
    Ok(report)
}

fn read_order(file: &Path) -> Result<Order, Trouble> {
    let text = fs::read(file).map_err(|error| Trouble::machine("cannot read the order", &error))?;
    let order: Order =
        serde_json::from_slice(&text).map_err(|error| Trouble::machine("cannot read the order", &error))?;
    if order.schema != SCHEMA {
        let reason = format!("the order has schema {}, this builder knows {SCHEMA}", order.schema);
        return Err(Trouble::Machine { reason });
    }
    // Names become paths below directories of ours.
    let names = order.inputs.iter().chain(order.outputs.values()).chain(order.outputs.keys());
    if let Some(name) =
        names.into_iter().find(|name| name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.'))
    {
        return Err(Trouble::Machine {
            reason: format!("the order names '{name}', which is no store object"),
        });
    }
    Ok(order)
}

/// Two directories that are gone when the builder is.
struct Workplace {
    root: PathBuf,
    objects: PathBuf,
    scratch: PathBuf,
}

impl Workplace {
    fn new(directory: &Path) -> Result<Self, Trouble> {
        let made = || {
            // Mounts want absolute paths.
            let root = directory.canonicalize()?.join("workplace");
            let (objects, scratch) = (root.join("objects"), root.join("scratch"));
            fs::create_dir_all(&objects)?;
            fs::create_dir(&scratch)?;
            Ok(Self { root, objects, scratch })
        };
        made().map_err(|error: std::io::Error| Trouble::machine("cannot make a directory", &error))
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What is left, whoever gave us the directory removes, if he can.
        let _ = remove(&self.root);
    }
}

fn unpack_inputs(order: &Order, directory: &Path, objects: &Path) -> Result<(), Trouble> {
    let names: Vec<&String> = order.inputs.iter().collect();
    let next = AtomicUsize::new(0);
    let trouble = Mutex::new(None);
    let threads = cores().min(names.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = unpack_input(name, directory, objects) {
                        *trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                        return;
                    }
                }
            });
        }
    });
    trouble.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).map_or(Ok(()), Err)
}

fn unpack_input(name: &str, directory: &Path, objects: &Path) -> Result<(), Trouble> {
    let what = || format!("cannot unpack {name}");
    let file = directory.join(INPUTS).join(archive_name(name));
    let file = File::open(file).map_err(|error| Trouble::machine(&what(), &error))?;
    let mut file = BufReader::with_capacity(1 << 17, file);
    unpack_canonical(&mut file, &objects.join(name)).map_err(|error| Trouble::machine(&what(), &error))
}

fn start(order: &Order, workplace: &Workplace, output: &OwnedFd) -> Result<Ended, Trouble> {
    let inputs: Vec<String> = order.inputs.iter().cloned().collect();
    let mut environment = order.environment.clone();
    environment.entry(b"NIX_BUILD_CORES".to_vec()).or_insert_with(|| cores().to_string().into_bytes());
    let package_root = order.package_root.as_ref().map(|below| workplace.objects.join(below));
    let file = |file: &crate::OrderedFile| SandboxFile {
        path: file.path.clone(),
        contents: file.contents.clone(),
        is_executable: file.is_executable,
    };
    let files: Vec<SandboxFile> = order.files.iter().map(file).collect();
    let spec = SandboxSpec {
        package_root: package_root.as_deref(),
        objects: &workplace.objects,
        store_dir: &order.store_dir,
        inputs: &inputs,
        scratch: &workplace.scratch,
        program: &order.program,
        arguments: &order.arguments,
        environment: &environment,
        files: &files,
        builder_uid: BUILDER_IDS.start,
        attached: Attached::Output(output),
        conditions: &Conditions::default(),
    };
    let cannot = |error| match error {
        SandboxError::Execute { program, source } => {
            Trouble::Execute { program, code: source.raw_os_error().unwrap_or_default() }
        }
        error => Trouble::machine("cannot run the builder", &error),
    };
    spec.start().map_err(cannot)?.wait().map_err(cannot)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn failure(status: ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("failed with exit code {code}")),
        (_, Some(signal)) => Some(format!("was killed by signal {signal}")),
        _ => Some("ended in an unknown way".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            schema: SCHEMA,
            store_dir: "/nix/store".to_owned(),
            inputs: Default::default(),
            package_root: None,
            program: b"/bin/sh".to_vec(),
            arguments: vec![vec![0xff]],
            environment: BTreeMap::from([(vec![0xfe], vec![0xfd])]),
            files: Vec::new(),
            outputs: BTreeMap::from([("out".to_owned(), "00000000000000000000000000000000-x".to_owned())]),
        }
    }

    /// Why an order is refused; `None` if it is taken.
    fn refused(order: &Order) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(ORDER);
        fs::write(&file, serde_json::to_vec(order).unwrap()).unwrap();
        match read_order(&file) {
            Ok(read) => {
                assert_eq!(read, *order);
                None
            }
            Err(Trouble::Machine { reason }) => Some(reason),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_order_is_read_as_it_was_written() {
        assert_eq!(refused(&order()), None);
        let newer = Order { schema: SCHEMA + 1, ..order() };
        assert!(refused(&newer).unwrap().starts_with("the order has schema 2, this builder knows 1"));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", ".", "..", "../x", "a/b", "/etc", ".hidden", "x\0y"] {
            let input = Order { inputs: [name.to_owned()].into(), ..order() };
            let output = Order { outputs: BTreeMap::from([("out".to_owned(), name.to_owned())]), ..order() };
            let called = Order { outputs: BTreeMap::from([(name.to_owned(), "x".to_owned())]), ..order() };
            for order in [input, output, called] {
                assert!(refused(&order).is_some(), "{name:?}");
            }
        }
    }

    #[test]
    fn an_input_that_did_not_come_is_trouble_and_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let order = Order { inputs: ["gone".to_owned()].into(), ..order() };
        fs::write(directory.path().join(ORDER), serde_json::to_vec(&order).unwrap()).unwrap();
        let output = File::create(directory.path().join("log")).unwrap().into();
        let Err(Trouble::Machine { reason }) = run(directory.path(), &output) else { panic!("it ran") };
        assert!(reason.starts_with("cannot unpack gone: "), "{reason}");
        assert!(!directory.path().join("workplace").exists());
    }
}
