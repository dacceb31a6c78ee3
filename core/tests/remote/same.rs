//! The same outputs bit for bit, and nothing fetched that nobody needs.

use osbuild_store::StorePath;

use crate::casd::Casd;
use crate::cluster::Cluster;
use crate::fixture::Fixture;

/// What builders can see and keep, as far as outputs can hold it.
const EVERYTHING: &str = r#"
mkdir -p $out/empty $out/deep/er
echo text > $out/file
echo '#!/bin/sh' > $out/run && chmod 755 $out/run
ln -s ../file $out/deep/relative
ln -s /absolute/nowhere $out/deep/absolute
ln -s beside $out/dangling
(at=$out; unset out; env > $at/environment)
# Owners differ between root's builds and a user's, here, too.
ls -goR /build /tmp > $out/seen
ls -goR --time-style=+%s $sandboxRoot >> $out/seen
id >> $out/seen
echo "a name with blanks" > "$out/a name"
printf 'x\377y' > "$out/$(printf 'not-\377-text')"
chmod 0 $out/file
"#;

fn build(fixture: &Fixture, cluster: &Cluster, step: &StorePath) -> StorePath {
    let engine = cluster.engine(fixture);
    fixture.build_with(&engine, step).unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn outputs_are_the_same_bit_for_bit() {
    let Some(casd) = Casd::start() else { return };
    let (here, there) = (Fixture::new(), Fixture::new());
    let cluster = Cluster::of(&there, &casd.config());
    let chain = |fixture: &Fixture| {
        let first = fixture.shell("first", &format!("unset NIX_BUILD_CORES\n{EVERYTHING}"), &[]);
        let second = fixture.shell("second", "mkdir $out; cp -r $input0/deep $out; echo $input0 > $out/from", &[&first]);
        (first, second)
    };
    let (first, second) = chain(&here);
    let (expected_first, expected) = (here.build(&first).unwrap(), here.build(&second).unwrap());
    assert_eq!(chain(&there).1, second);
    let built = build(&there, &cluster, &first);
    for name in ["environment", "seen"] {
        let read = |fixture: &Fixture, path| std::fs::read_to_string(fixture.store.physical(path).join(name)).unwrap();
        assert_eq!(read(&there, &built), read(&here, &expected_first));
    }
    assert_eq!(build(&there, &cluster, &second), expected);
    let hash = |fixture: &Fixture, path| fixture.store.info(path).unwrap().map(|info| info.nar_hash);
    assert_eq!(hash(&there, &expected), hash(&here, &expected));
    // The second refers to the first, so that came along.
    assert_eq!(hash(&there, &expected_first), hash(&here, &expected_first));
    assert!(hash(&here, &expected_first).is_some());
}
