//! Steps run once more under other surroundings: what lets them reach its
//! output is found, and the variation that did it is named.

use osbuild_core::graph::Wanted;
use osbuild_core::verify::blame::{Cause, blame};
use osbuild_core::verify::rounds::{Again, Differing, Ending, Rounds};
use osbuild_core::verify::steps::{Step, candidates, realise};
use osbuild_core::verify::{VARIATIONS, Variation, Variations};
use osbuild_store::StorePath;

use super::fixture::Fixture;

/// The steps below one, made.
pub(crate) fn steps(fixture: &Fixture, derivation: &StorePath) -> Vec<Step> {
    let engine = fixture.engine();
    let wanted = [Wanted { derivation: derivation.clone(), outputs: None }];
    let lookup = |path: &StorePath| fixture.lookup(path);
    let candidates = candidates(&fixture.store, &lookup, &wanted).unwrap();
    realise(&engine, &lookup, &candidates).unwrap()
}

fn again(fixture: &Fixture, step: &Step, variations: &Variations) -> Again {
    let engine = fixture.engine();
    Rounds::new(&engine, true).once(0, step, variations).unwrap()
}

/// What a script's output differs by.
fn cause(fixture: &Fixture, name: &str, script: &str) -> Option<Cause> {
    let derivation = fixture.shell(name, script, &[]);
    let step = steps(fixture, &derivation).pop().unwrap();
    let differs = |variations: &Variations| match again(fixture, &step, variations).ending {
        Ending::Same => false,
        Ending::Differs(_) => true,
        other => panic!("{name} under {variations}: {other:?}"),
    };
    differs(&Variations::all()).then(|| {
        blame(&Variations::all(), &[], &mut |variations| {
            Ok::<_, std::convert::Infallible>(differs(variations))
        })
        .unwrap()
    })
}

#[test]
fn each_variation_is_blamed_for_what_it_lets_through() {
    let fixture = Fixture::new();
    let scripts = [
        (Variation::Zone, "date -d @0 +%H:%M > $out"),
        (Variation::Locale, "echo ${LC_ALL:-none} > $out"),
        (Variation::Names, "id -un > $out"),
        (Variation::HostName, "uname -n > $out"),
        (Variation::Path, "pwd > $out"),
        (Variation::Cores, "echo $NIX_BUILD_CORES > $out"),
        (Variation::Umask, "touch made; stat -c %a made > $out"),
        (Variation::ProcessIds, "sh -c 'echo $$' > $out"),
        (Variation::Addresses, "while read from rest; do echo $from; break; done < /proc/self/maps > $out"),
        (Variation::FileSystem, "stat -f -c %t . > $out"),
        (Variation::Clock, "date +%Y > $out"),
        (Variation::Clock, "touch made; date -r made +%Y > $out"),
        (
            Variation::DirectoryOrder,
            "mkdir d; for i in 1 2 3 4 5 6 7 8 9; do touch d/$i; done; ls -U d > $out",
        ),
        (Variation::Kernel, "uname -r > $out"),
        (Variation::Kernel, "cat /proc/sys/kernel/osrelease > $out"),
        (Variation::Memory, "while read line; do echo $line; break; done < /proc/meminfo > $out"),
    ];
    for (index, (variation, script)) in scripts.into_iter().enumerate() {
        let found = cause(&fixture, &format!("{variation}-{index}"), script);
        let alone: Variations = [variation].into_iter().collect();
        assert_eq!(found, Some(Cause::Variations(vec![alone])), "{script}");
    }
    for variation in VARIATIONS {
        assert!(scripts.iter().any(|(one, _)| *one == variation), "no script shows {variation}");
    }
}

#[test]
fn what_differs_by_itself_is_nobodys_fault() {
    let fixture = Fixture::new();
    assert_eq!(cause(&fixture, "random", "cat /proc/sys/kernel/random/uuid > $out"), Some(Cause::Itself));
    assert_eq!(cause(&fixture, "steady", "echo steady > $out"), None);
}

#[test]
fn every_variation_is_done_and_a_probe_says_so() {
    let fixture = Fixture::new();
    let derivation = fixture.shell("steady", "echo steady > $out", &[]);
    let step = steps(&fixture, &derivation).pop().unwrap();
    let Again { acted, idle, ending, .. } = again(&fixture, &step, &Variations::all());
    assert!(matches!(ending, Ending::Same), "{ending:?}");
    assert_eq!((acted, idle), (Variations::all(), Variations::none()));
    // What runs in this process is told of its threads alone.
    let derivation = fixture.builtin("write-tree", "tree", serde_json::json!({ "files": {} }));
    let step = steps(&fixture, &derivation).pop().unwrap();
    let Again { acted, .. } = again(&fixture, &step, &Variations::all());
    assert_eq!(acted, [Variation::Cores].into_iter().collect());
}

#[test]
fn each_step_is_judged_by_its_own_inputs() {
    let fixture = Fixture::new();
    let lower = fixture.shell("lower", "date +%Y > $out", &[]);
    let upper = fixture.shell("upper", "cat $input0 > $out", &[&lower]);
    let top = fixture.shell("top", "cat $input0 > $out; pwd >> $out", &[&upper]);
    let steps = steps(&fixture, &top);
    let names: Vec<&str> = steps.iter().map(|step| step.resolved.name()).collect();
    assert_eq!(names, ["lower", "upper", "top"]);
    let engine = fixture.engine();
    let mut differing = Vec::new();
    Rounds::new(&engine, false)
        .run(&steps, &Variations::all(), &mut |index, again| {
            if let Ending::Differs(outputs) = again.ending {
                let [Differing { first, second, .. }] = &outputs[..] else { panic!("{outputs:?}") };
                assert!(fixture.store.is_valid(first).unwrap() && fixture.store.is_valid(second).unwrap());
                differing.push(names[index]);
            }
        })
        .unwrap();
    differing.sort_unstable();
    assert_eq!(differing, ["lower", "top"], "and not what merely contains the lowest");
}

#[test]
fn what_was_found_the_same_is_not_run_again() {
    let fixture = Fixture::new();
    let derivation = fixture.shell("steady", "echo steady > $out", &[]);
    let steps = steps(&fixture, &derivation);
    let engine = fixture.engine();
    let run = |is_fresh: bool, variations: &Variations| {
        let again = Rounds::new(&engine, is_fresh).once(0, &steps[0], variations).unwrap();
        matches!(again.ending, Ending::Known)
    };
    let zone: Variations = [Variation::Zone].into_iter().collect();
    assert!(!run(false, &zone));
    assert!(run(false, &zone));
    assert!(!run(true, &zone), "unless it is to be");
    assert!(!run(false, &Variations::all()), "other variations say something else");
}

#[test]
fn what_does_not_build_under_variations_says_so() {
    let fixture = Fixture::new();
    let derivation = fixture.shell("narrow", "[ $NIX_BUILD_CORES = 2 ] || exit 3; echo > $out", &[]);
    let steps = steps(&fixture, &derivation);
    let ending = again(&fixture, &steps[0], &Variations::all()).ending;
    assert!(
        matches!(&ending, Ending::Fails(error) if error.to_string().contains("exit code 3")),
        "{ending:?}"
    );
}
