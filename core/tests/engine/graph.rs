//! Order, early cutoff, rows that outlive objects, failures.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use osbuild_core::derivation::Output;
use osbuild_core::graph::described::State;
use osbuild_core::graph::{BuildGraph, Engine, GraphError, Jobs, Usual, Wanted};
use osbuild_store::local::{GcRequest, Usage};
use osbuild_store::{HashAlgorithm, StorePath};

use crate::fixture::Fixture;

#[test]
fn inputs_are_built_first_and_nothing_twice() {
    let fixture = Fixture::new();
    let base = fixture.shell("base", "echo base > $out", &[]);
    let left = fixture.shell("left", "cat $input0 > $out; echo left >> $out", &[&base]);
    let right = fixture.shell("right", "cat $input0 > $out; echo right >> $out", &[&base]);
    let top = fixture.shell("top", "cat $input0 $input1 > $out", &[&left, &right]);
    assert_eq!(fixture.text(&top), "base\nleft\nbase\nright\n");
    let ran = fixture.ran.take();
    assert_eq!((ran.len(), ran[0].as_str(), ran[3].as_str()), (4, "base", "top"));
    fixture.build(&top).unwrap();
    assert!(fixture.ran.take().is_empty());
}

#[test]
fn what_comes_out_as_before_ends_there() {
    let fixture = Fixture::new();
    let chain = |comment: &str| {
        let base = fixture.shell("base", &format!("# {comment}\necho base > $out"), &[]);
        let middle = fixture.shell("middle", "cat $input0 > $out", &[&base]);
        fixture.shell("top", "cat $input0 > $out", &[&middle])
    };
    let first = fixture.build(&chain("one")).unwrap();
    assert_eq!(fixture.ran.take(), ["base", "middle", "top"]);
    assert_eq!(fixture.build(&chain("two")).unwrap(), first);
    assert_eq!(fixture.ran.take(), ["base"]);
}

#[test]
fn what_comes_out_as_before_ends_there_however_far_up() {
    let fixture = Fixture::new();
    let chain = |text: &str| {
        let base = fixture.shell("base", &format!("echo {text} > $out"), &[]);
        let lower = fixture.shell("lower", "read -r a b < $input0; echo $a > $out", &[&base]);
        let upper = fixture.shell("upper", "cat $input0 > $out", &[&lower]);
        fixture.shell("top", "cat $input0 > $out", &[&upper])
    };
    let first = fixture.build(&chain("one comment")).unwrap();
    assert_eq!(fixture.ran.take(), ["base", "lower", "upper", "top"]);
    assert_eq!(fixture.build(&chain("one word")).unwrap(), first);
    assert_eq!(fixture.ran.take(), ["base", "lower"]);
    assert_ne!(fixture.build(&chain("two word")).unwrap(), first);
    assert_eq!(fixture.ran.take(), ["base", "lower", "upper", "top"]);
}

#[test]
fn rows_outlive_objects_and_only_what_is_mounted_is_made() {
    let fixture = Fixture::new();
    let base = fixture.shell("base", "echo base > $out", &[]);
    let middle = fixture.shell("middle", "cat $input0 > $out", &[&base]);
    let top = fixture.shell("top", "cat $input0 > $out", &[&middle]);
    let built = fixture.build(&top).unwrap();
    fixture.ran.take();

    // Everything below may go: the row says what it was.
    let link = fixture.store.home().join("result");
    fixture.store.add_root(&link, &built).unwrap();
    fixture.store.add_root(&fixture.store.home().join("root"), &fixture.root).unwrap();
    fixture.store.collect_garbage(GcRequest::default(), || ()).unwrap();
    assert_eq!(fixture.build(&top).unwrap(), built);
    assert!(fixture.ran.take().is_empty());

    // A new step above makes what it mounts again, and no more.
    let next = fixture.shell("next", "cat $input0 > $out", &[&middle]);
    fixture.build(&next).unwrap();
    assert_eq!(fixture.ran.take(), ["base", "middle", "next"]);
    let other = fixture.shell("other", "echo; cat $input0 > $out", &[&top]);
    fixture.build(&other).unwrap();
    assert_eq!(fixture.ran.take(), ["other"]);
}

#[test]
fn plain_derivations_above_floating_ones_get_their_path_when_resolved() {
    let fixture = Fixture::new();
    let base = fixture.shell("base", "echo base > $out", &[]);
    let top = fixture.shell_with("top", "cat $input0 > $out", &[&base], Output::Deferred, &[("out", "")]);
    let path = fixture.build(&top).unwrap();
    assert_eq!(path.name(), "top");
    assert_eq!(fixture.text(&top), "base\n");
    assert_eq!(fixture.ran.take(), ["base", "top"]);
    let info = fixture.store.info(&path).unwrap().unwrap();
    assert_eq!(info.content_address, None);
}

#[test]
fn a_failure_stops_what_is_above_it_and_keep_going_the_rest_not() {
    let fixture = Fixture::new();
    let bad = fixture.shell("bad", "echo why; exit 3", &[]);
    let above = fixture.shell("above", "echo > $out", &[&bad]);
    let good = fixture.shell("good", "sleep 0.3; echo good > $out", &[]);
    let wanted: Vec<Wanted> =
        [&above, &good].into_iter().map(|d| Wanted { derivation: d.clone(), outputs: None }).collect();
    let engine = Engine { keep_going: true, jobs: Jobs::AtMost(1), ..fixture.engine() };
    let Err(GraphError::Failed { failures }) = engine.realise(&|path| fixture.lookup(path), &wanted) else {
        panic!("bad failed");
    };
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].0, bad);
    assert_eq!(fixture.ran.take(), ["good"]);
}

#[test]
fn an_interrupt_ends_builds_and_leaves_nothing() {
    let fixture = Fixture::new();
    let slow = fixture.shell("slow", "sleep 60", &[]);
    let started = std::time::Instant::now();
    let result = std::thread::scope(|scope| {
        let build = scope.spawn(|| fixture.build(&slow));
        std::thread::sleep(std::time::Duration::from_millis(300));
        fixture.interrupted.store(true, Ordering::Relaxed);
        build.join().unwrap()
    });
    assert!(matches!(result, Err(GraphError::Interrupted)), "{result:?}");
    assert!(started.elapsed().as_secs() < 20);
    assert!(fixture.store.home().join("build").read_dir().unwrap().next().is_none());
}

#[test]
fn rebuilding_compares() {
    let fixture = Fixture::new();
    let steady = fixture.shell("steady", "echo same > $out", &[]);
    let random = fixture.shell("random", "cat /proc/sys/kernel/random/uuid > $out", &[]);
    for derivation in [&steady, &random] {
        fixture.build(derivation).unwrap();
    }
    let engine = Engine { rebuild: true, ..fixture.engine() };
    fixture.build_with(&engine, &steady).unwrap();
    let Err(GraphError::Failed { failures }) = fixture.build_with(&engine, &random) else {
        panic!("a random number came out twice");
    };
    let osbuild_core::build::BuildError::NotReproducible { first, second, .. } = &failures[0].1 else {
        panic!()
    };
    assert!(std::path::Path::new(first).exists() && std::path::Path::new(second).exists());
}

#[test]
fn a_forecast_says_what_would_run_and_runs_nothing() {
    let fixture = Fixture::new();
    let base = fixture.shell("base", "echo base > $out", &[]);
    let top = fixture.shell("top", "cat $input0 > $out", &[&base]);
    let wanted = [Wanted { derivation: top.clone(), outputs: None }];
    let forecast = fixture.engine().forecast(&|path| fixture.lookup(path), &wanted).unwrap();
    assert_eq!((forecast.build, forecast.maybe), (vec![base], vec![top.clone()]));
    assert!(fixture.ran.take().is_empty());
    fixture.build(&top).unwrap();
    let forecast = fixture.engine().forecast(&|path| fixture.lookup(path), &wanted).unwrap();
    assert_eq!(forecast.build, vec![]);
}

/// Why each step of a forecast runs, by name.
fn reasons(fixture: &Fixture, top: &StorePath) -> Vec<(String, String)> {
    let wanted = [Wanted { derivation: top.clone(), outputs: None }];
    let forecast = fixture.engine().forecast(&|path| fixture.lookup(path), &wanted).unwrap();
    let mut reasons: Vec<(String, String)> = forecast
        .reasons
        .iter()
        .map(|(path, reason)| (path.name().trim_end_matches(".drv").to_owned(), reason.to_string()))
        .collect();
    reasons.sort();
    reasons
}

#[test]
fn a_forecast_says_why() {
    let fixture = Fixture::new();
    let pair = |base_script: &str, top_script: &str, variables: &[(&str, &str)]| {
        let base = fixture.shell("base", base_script, &[]);
        let output = Output::Floating { recursive: true, algorithm: HashAlgorithm::Sha256 };
        fixture.shell_with("top", top_script, &[&base], output, variables)
    };
    let check = |top: &StorePath, expected: &[(&str, &str)]| {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(name, reason)| ((*name).to_owned(), (*reason).to_owned())).collect();
        assert_eq!(reasons(&fixture, top), expected);
    };
    let (one, two, copy) = ("echo one > $out", "echo two > $out", "cat $input0 > $out");
    let top = pair(one, copy, &[]);
    let waits = "if it comes out otherwise: base";
    check(&top, &[("base", "never built here"), ("top", waits)]);
    fixture.build(&top).unwrap();
    check(&top, &[]);
    // The script is an argument of the shell.
    let next = pair(two, copy, &[]);
    check(&next, &[("base", "the builder changed"), ("top", waits)]);
    // Once the input is known, it is what changed, and the variable that holds
    // its path is not named beside it.
    fixture.build(&fixture.shell("base", two, &[])).unwrap();
    check(&next, &[("top", "input base changed")]);
    let variables = [("colour", "red"), ("size", "big")];
    check(&pair(one, copy, &variables), &[("top", "colour changed, size changed")]);
    check(&pair(one, "cat $input0 > $out # so", &[]), &[("top", "the builder changed")]);
    // What was collected has to be made again from what it was made from.
    fixture.build(&next).unwrap();
    fixture.store.add_root(&fixture.store.home().join("root"), &fixture.root).unwrap();
    fixture.store.collect_garbage(GcRequest::default(), || ()).unwrap();
    let gone = "was built from just this, but the result is gone";
    check(&next, &[("base", gone), ("top", gone)]);
}

#[test]
fn what_a_builder_took_is_known_afterwards() {
    let fixture = Fixture::new();
    let script = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 0.3; echo > $out";
    fixture.build(&fixture.shell("busy", script, &[])).unwrap();
    let usage = fixture.store.usage("busy").unwrap().unwrap();
    let processes = usage.processes.unwrap();
    assert!(usage.wall_ms >= 300, "{usage:?}");
    assert!(processes.cpu_ms > 10, "{usage:?}");
    // A shell takes about a megabyte.
    assert!((200 << 10..1 << 30).contains(&processes.largest_bytes), "{usage:?}");
}

#[test]
fn a_plan_says_what_there_is_to_do() {
    let fixture = Fixture::new();
    let pair = |text: &str| {
        let base = fixture.shell("base", &format!("echo {text} > $out"), &[]);
        fixture.shell("top", "cat $input0 > $out", &[&base])
    };
    fixture.build(&pair("one")).unwrap();
    assert_eq!(fixture.ran.planned(), [(1, 1, false)]);
    fixture.build(&pair("one")).unwrap();
    assert_eq!(fixture.ran.planned(), []);
    fixture.build(&pair("two")).unwrap();
    assert_eq!(fixture.ran.planned(), [(1, 1, true)]);
}

#[test]
fn builders_say_what_they_do() {
    let fixture = Fixture::new();
    let script = "echo '@phase unpack'; echo words; echo '@phase build'; echo > $out";
    fixture.build(&fixture.shell("phases", script, &[])).unwrap();
    assert_eq!(fixture.ran.phases(), ["unpack", "build"]);
}

#[test]
fn builds_run_side_by_side_as_far_as_they_may() {
    let fixture = Fixture::new();
    let wanted = |round: &str| {
        ["a", "b", "c", "d"].map(|name| {
            let script = format!("sleep 0.3; echo {round} > $out");
            Wanted { derivation: fixture.shell(name, &script, &[]), outputs: None }
        })
    };
    for most in [1, 2, 4] {
        let engine = Engine { jobs: Jobs::AtMost(most), ..fixture.engine() };
        // On a slow machine the first may be over before the last begins.
        let reached = (0..5).any(|attempt| {
            engine.realise(&|path| fixture.lookup(path), &wanted(&format!("{most} {attempt}"))).unwrap();
            let at_once = fixture.ran.most_at_once();
            assert!(at_once <= most, "{at_once} instead of {most}");
            at_once == most
        });
        assert!(reached, "never {most} at once");
    }
}

#[test]
fn a_graph_is_described_as_a_build_would_find_it() {
    let fixture = Fixture::new();
    let base = fixture.shell("base", "echo base > $out", &[]);
    let slow = fixture.shell("slow", "cat $input0 > $out; echo slow >> $out", &[&base]);
    let quick = fixture.shell("quick", "cat $input0 > $out; echo quick >> $out", &[&base]);
    let top = fixture.shell("top", "cat $input0 $input1 > $out", &[&slow, &quick]);
    let describe = |target: &StorePath| {
        let wanted = Wanted { derivation: target.clone(), outputs: None };
        fixture.engine().describe(&|path| fixture.lookup(path), &[wanted.clone(), wanted]).unwrap()
    };
    let names = |graph: &BuildGraph, steps: &[usize]| -> Vec<String> {
        steps.iter().map(|step| graph.steps[*step].name().to_owned()).collect()
    };
    let states = |graph: &BuildGraph| -> BTreeMap<String, State> {
        graph.steps.iter().map(|step| (step.name().to_owned(), step.state)).collect()
    };
    let expected = |pairs: &[(&str, State)]| -> BTreeMap<String, State> {
        pairs.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect()
    };

    let note = |name: &str, wall_ms: u64| {
        fixture.store.note_usage(name, &Usage { wall_ms, processes: None }, b"").unwrap();
    };
    note("slow", 60_000);
    note("quick", 20);
    let graph = describe(&top);
    assert_eq!(names(&graph, &graph.targets), ["top"]);
    let mut edges: Vec<_> = graph.edges.iter().map(|(from, to)| names(&graph, &[*from, *to])).collect();
    edges.sort();
    assert_eq!(edges, [["quick", "base"], ["slow", "base"], ["top", "quick"], ["top", "slow"]]);
    // Steps that never ran count five seconds, as the order of a build has it.
    assert_eq!(
        (names(&graph, &graph.critical).join(" "), graph.critical_ms),
        ("base slow top".into(), 70_000)
    );
    let maybe =
        [("base", State::Build), ("slow", State::Maybe), ("quick", State::Maybe), ("top", State::Maybe)];
    assert_eq!(states(&graph), expected(&maybe));
    assert!(graph.steps.iter().all(|step| step.size_bytes().is_none()));

    fixture.build(&quick).unwrap();
    note("base", 1);
    let graph = describe(&top);
    let half =
        [("base", State::Present), ("slow", State::Build), ("quick", State::Present), ("top", State::Maybe)];
    assert_eq!(states(&graph), expected(&half));
    let base = graph.steps.iter().find(|step| step.name() == "base").unwrap();
    assert!(
        base.usual == Usual { ms: 1, is_measured: true } && base.size_bytes().is_some_and(|size| size > 100)
    );

    fixture.build(&top).unwrap();
    let graph = describe(&top);
    assert!(graph.steps.iter().all(|step| step.state == State::Present), "{:?}", states(&graph));

    // What only a row remembers is not needed while the target is there.
    let link = fixture.store.home().join("result");
    let built = graph.steps[graph.targets[0]].outputs[0].path.clone().unwrap();
    fixture.store.add_root(&link, &built).unwrap();
    fixture.store.add_root(&fixture.store.home().join("root"), &fixture.root).unwrap();
    fixture.store.collect_garbage(GcRequest::default(), || ()).unwrap();
    let graph = describe(&top);
    let gone = [
        ("base", State::Unneeded),
        ("slow", State::Unneeded),
        ("quick", State::Unneeded),
        ("top", State::Present),
    ];
    assert_eq!(states(&graph), expected(&gone));
}

#[test]
fn two_processes_share_one_build() {
    let fixture = Fixture::new();
    let slow = fixture.shell("slow", "sleep 0.5; cat /proc/sys/kernel/random/uuid > $out", &[]);
    let paths: Vec<_> = std::thread::scope(|scope| {
        let both: Vec<_> = (0..2).map(|_| scope.spawn(|| fixture.build(&slow).unwrap())).collect();
        both.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(paths[0], paths[1]);
    assert_eq!(fixture.ran.take(), ["slow"]);
}
