//! Repositories of releases: what publishing, rotating and verifying do, and
//! what other people's clients make of the result.

#[path = "../../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;
#[path = "../image/stub.rs"]
mod stub;

mod attestations;
mod bucket;
mod fixture;
mod follower;
mod handed_in;
mod judges;
mod keys;
mod rebuilt;
mod release;
mod rotation;
mod rules;
mod spoiled;
mod token;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fixture::{Fixture, START, later, signers};
use osbuild_core::repo::mirror::{self, Selection};
use osbuild_core::repo::refresh::refresh;
use osbuild_core::repo::verify::{Subject, verify};
use osbuild_core::repo::waves::{Order, change, find_line};
use osbuild_core::repo::{RepoError, gc};
use osbuild_store::cache::Directory;
use release::Made;

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for name in ["metadata", "targets"] {
        for entry in fs::read_dir(folder.join(name)).unwrap() {
            let entry = entry.unwrap();
            let key = format!("{name}/{}", entry.file_name().to_string_lossy());
            found.insert(key, fs::read(entry.path()).unwrap());
        }
    }
    found
}

#[test]
fn what_is_published_is_whole_and_publishing_it_again_changes_nothing() {
    let fixture = Fixture::new();
    let committed = fixture.publish(&Made::new("1.0.0", 1), START).unwrap();
    let versions: Vec<_> = committed.roles.iter().map(|(role, version)| (role.as_str(), *version)).collect();
    assert_eq!(versions, [("targets", 2), ("rollout", 2), ("snapshot", 2), ("timestamp", 2)]);
    let report = fixture.verify(START);
    assert!(report.problems.is_empty() && report.warnings.is_empty(), "{report:#?}");
    assert_eq!((report.releases.len(), report.orphans.len()), (1, 3), "{report:#?}");

    let before = files(&fixture.path().join("public"));
    assert_eq!(fixture.publish(&Made::new("1.0.0", 1), START).unwrap().roles, []);
    assert_eq!(files(&fixture.path().join("public")), before);

    fixture.publish(&Made::new("1.1.0", 2), later(1)).unwrap();
    assert!(fixture.verify(later(1)).problems.is_empty());
}

#[test]
fn a_dry_run_plans_and_changes_nothing() {
    let fixture = Fixture::new();
    let before = files(&fixture.path().join("public"));
    let (repository, state) = fixture.open();
    let request = osbuild_core::repo::publish::Request {
        outputs: vec![fixture.make(&Made::new("1.0.0", 1))],
        derivations: BTreeMap::new(),
        channel: "stable".to_owned(),
        wave: None,
        retire_previous: false,
        evidence: osbuild_core::repo::publish::Evidence::None { why: String::new() },
        verdicts: Vec::new(),
        progress: &|_| {},
    };
    let plan = osbuild_core::repo::publish::plan(&repository, &state, &request, START).unwrap();
    assert_eq!(plan.releases[0].new.len(), 8);
    assert_eq!(files(&fixture.path().join("public")), before);
}

#[test]
fn refreshing_outlives_the_timestamp_and_warns_before_the_rest_ends() {
    let fixture = Fixture::new();
    assert!(!fixture.verify(later(2)).problems.is_empty(), "the timestamp is over");
    let (repository, state) = fixture.open();
    let committed = refresh(&repository, &state, &[], &signers(), later(2)).unwrap();
    assert_eq!(committed.roles, [("timestamp".to_owned(), 2)]);
    drop(repository);
    assert!(fixture.verify(later(2)).problems.is_empty());

    let (repository, state) = fixture.open();
    let committed = refresh(&repository, &state, &[], &signers(), later(5)).unwrap();
    let roles: Vec<&str> = committed.roles.iter().map(|(role, _)| role.as_str()).collect();
    assert_eq!(roles, ["rollout", "snapshot", "timestamp"], "past half of their lives");
    drop(repository);

    // Targets end after 90 days: nothing but their own key helps.
    let (repository, state) = fixture.open();
    let over = refresh(&repository, &state, &[], &signers(), later(91)).unwrap_err();
    assert!(matches!(over, RepoError::SelfCheck(osbuild_tuf::Error::Expired { .. })), "{over:?}");
    refresh(&repository, &state, &["targets".to_owned()], &signers(), later(91)).unwrap();
    drop(repository);
    let report = fixture.verify(later(91));
    assert!(report.problems.is_empty(), "{report:#?}");
}

/// What a clock that was set back would sign would be over before it is read.
#[test]
fn a_clock_that_went_back_signs_nothing() {
    let fixture = Fixture::new();
    fixture.publish(&Made::new("1.0.0", 1), later(3)).unwrap();
    let (repository, state) = fixture.open();
    let error = refresh(&repository, &state, &[], &signers(), later(1)).unwrap_err();
    assert!(matches!(error, RepoError::Clock { .. }), "{error:?}");
    refresh(&repository, &state, &[], &signers(), fixture::later(3)).unwrap();
}

#[test]
fn a_release_is_held_and_goes_on() {
    let fixture = Fixture::new();
    fixture
        .publish_with(&Made::new("1.0.0", 1), START, |request| request.wave = Some("2d".to_owned()))
        .unwrap();
    let (repository, state) = fixture.open();
    let line = find_line(&state, Some("stable/test")).unwrap();
    let pause = Order::Pause { why: "look at it".to_owned() };
    // With the key that is online alone.
    for name in ["targets-1", "root-1", "root-2", "root-3"] {
        fs::rename(fixture.keys().join(format!("{name}.pem")), fixture.folder.path().join(name)).unwrap();
    }
    let (version, committed) =
        change(&repository, &state, &line, None, &pause, &signers(), later(1)).unwrap();
    assert_eq!(version, "1.0.0");
    assert!(committed.roles.iter().all(|(role, _)| role != "targets"));
    let state = repository.state().unwrap();
    let documents = osbuild_core::repo::waves::documents(&repository, &state, &line).unwrap();
    let given = documents.rollout.releases.values().next().unwrap();
    assert_eq!(given.paused.as_ref().unwrap().why, "look at it");

    change(&repository, &state, &line, None, &Order::Resume, &signers(), later(4)).unwrap();
    let state = repository.state().unwrap();
    let documents = osbuild_core::repo::waves::documents(&repository, &state, &line).unwrap();
    let given = documents.rollout.releases.values().next().unwrap();
    assert_eq!(given.wave.share_at(later(4)), 5000, "half had come when it was held");
    assert_eq!(given.wave.share_at(later(5)), 10_000);
}

#[test]
fn old_releases_go_and_their_files_in_the_run_after() {
    let fixture = Fixture::new();
    for (version, index) in [("1.0.0", 1), ("1.1.0", 2), ("1.2.0", 3)] {
        fixture.publish(&Made::new(version, index), START).unwrap();
    }
    let run = |dry_run| {
        let (repository, state) = fixture.open();
        gc::gc(&repository, &state, 2, dry_run, &signers(), START).unwrap()
    };
    let before = files(&fixture.path().join("public"));
    assert_eq!(run(true).releases, ["stable.test.x86_64 1.0.0"]);
    assert_eq!(files(&fixture.path().join("public")), before);
    run(false);
    let has_root = || {
        fs::read_dir(fixture.path().join("public/targets")).unwrap().any(|entry| {
            entry.unwrap().file_name().to_string_lossy().ends_with("test.x86_64.1.0.0.root.squashfs")
        })
    };
    assert!(has_root());
    assert_eq!(run(false).releases, [] as [String; 0]);
    assert!(!has_root());
    let report = fixture.verify(START);
    assert!(report.problems.is_empty(), "{report:#?}");
    assert_eq!(report.releases.len(), 2);
}

#[test]
fn one_file_crosses_an_air_gap() {
    let fixture = Fixture::new();
    fixture.publish(&Made::new("1.0.0", 1), START).unwrap();
    let (repository, state) = fixture.open();
    let old = fixture.folder.path().join("old.tar");
    mirror::export(&repository, &state, &Selection::default(), &old).unwrap();
    let again = fixture.folder.path().join("again.tar");
    mirror::export(&repository, &state, &Selection::default(), &again).unwrap();
    assert_eq!(fs::read(&old).unwrap(), fs::read(&again).unwrap());
    drop(repository);
    fixture.publish(&Made::new("1.1.0", 2), START).unwrap();
    let (repository, state) = fixture.open();
    let line = find_line(&state, None).unwrap();
    let selection = Selection { line: Some(line), versions: Vec::new() };
    let new = fixture.folder.path().join("new.tar");
    mirror::export(&repository, &state, &selection, &new).unwrap();

    let copy = fixture.folder.path().join("copy");
    let root = fs::read(fixture.path().join("public/metadata/1.root.json")).unwrap();
    assert!(matches!(mirror::import(&old, &copy, None, START), Err(RepoError::Argument(_))));
    mirror::import(&old, &copy, Some(&root), START).unwrap();
    mirror::import(&new, &copy, None, START).unwrap();
    let names: Vec<String> = files(&copy).into_keys().collect();
    assert!(names.iter().any(|name| name.ends_with("1.1.0.root.squashfs")), "{names:?}");
    let place = Directory::new(&copy);
    let look = |is_partial| {
        let subject = Subject { place: &place, directory: None, root: Some(root.clone()), is_partial };
        verify(&subject, START, &|_| {}).unwrap()
    };
    assert!(look(false).problems.is_empty() && look(false).releases.len() == 2);
    for entry in fs::read_dir(copy.join("targets")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains(".1.0.0.") {
            fs::remove_file(path).unwrap();
        }
    }
    assert!(look(false).problems.len() > 5);
    let report = look(true);
    assert!(report.problems.is_empty() && report.releases.len() == 1, "{report:#?}");

    let before = files(&copy);
    let error = mirror::import(&old, &copy, None, START).unwrap_err();
    assert!(matches!(error, RepoError::Tuf(osbuild_tuf::Error::Rollback { .. })), "{error:?}");
    let error = mirror::import(&new, &copy, None, later(30)).unwrap_err();
    assert!(matches!(error, RepoError::Tuf(osbuild_tuf::Error::Expired { .. })), "{error:?}");
    // Somebody else's repository.
    let foreign = Fixture::new();
    foreign.publish(&Made::new("9.0.0", 9), START).unwrap();
    let (repository, state) = foreign.open();
    let theirs = fixture.folder.path().join("theirs.tar");
    mirror::export(&repository, &state, &Selection::default(), &theirs).unwrap();
    assert!(matches!(mirror::import(&theirs, &copy, None, START), Err(RepoError::Tuf(_))));
    assert_eq!(files(&copy), before, "what is refused changes nothing");
}

#[test]
fn a_copy_elsewhere_is_never_set_back() {
    let fixture = Fixture::new();
    fixture.publish(&Made::new("1.0.0", 1), START).unwrap();
    let elsewhere = fixture.folder.path().join("served");
    let place = Directory::new(&elsewhere);
    let (repository, state) = fixture.open();
    mirror::push(&repository, &state, &place, &|_| {}).unwrap();
    let copied = mirror::push(&repository, &state, &place, &|_| {}).unwrap();
    assert_eq!(copied.files, 1, "the timestamp alone");
    drop(repository);
    fixture.publish(&Made::new("1.1.0", 2), START).unwrap();
    let (repository, newer) = fixture.open();
    mirror::push(&repository, &newer, &place, &|_| {}).unwrap();
    let error = mirror::push(&repository, &state, &place, &|_| {}).unwrap_err();
    assert!(matches!(error, RepoError::Behind { ours: 2, theirs: 3, .. }), "{error:?}");

    // Nor does somebody else's repository take its place, however new.
    let before = files(&elsewhere);
    let foreign = Fixture::new();
    for (version, index) in [("9.0.0", 9), ("9.1.0", 10), ("9.2.0", 11)] {
        foreign.publish(&Made::new(version, index), START).unwrap();
    }
    let (repository, state) = foreign.open();
    let error = mirror::push(&repository, &state, &place, &|_| {}).unwrap_err();
    assert!(error.to_string().contains("holds another repository"), "{error}");
    assert_eq!(files(&elsewhere), before);
}

#[test]
fn a_publisher_goes_on_elsewhere_from_what_is_served() {
    let fixture = Fixture::new();
    fixture.publish(&Made::new("1.0.0", 1), START).unwrap();
    let served = fixture.folder.path().join("served");
    let place = Directory::new(&served);
    let (repository, state) = fixture.open();
    mirror::push(&repository, &state, &place, &|_| {}).unwrap();
    drop(repository);

    // What is public is lost, and nothing else.
    let public = fixture.path().join("public");
    let older = fixture.folder.path().join("older");
    fs::rename(&public, &older).unwrap();
    let root = fs::read(served.join("metadata/1.root.json")).unwrap();
    let pull = |from: &Path, root| mirror::pull(&Directory::new(from), &public, root, &|_| {});
    assert!(matches!(pull(&served, None), Err(RepoError::Argument(_))));
    pull(&served, Some(&root[..])).unwrap();
    assert!(files(&public) == files(&served), "what a client reads");
    assert_eq!(pull(&served, None).unwrap().files, 1, "the timestamp alone");
    // As a command leaves it that is killed before the timestamp.
    fs::remove_file(public.join("metadata/timestamp.json")).unwrap();
    pull(&served, None).unwrap();
    assert!(files(&public) == files(&served), "what a client reads");

    // A timestamp that has expired is no reason to stay away: it is what is to be signed.
    fixture.publish(&Made::new("1.1.0", 2), later(48)).unwrap();
    let (repository, state) = fixture.open();
    mirror::push(&repository, &state, &place, &|_| {}).unwrap();
    assert!(fixture.verify(later(48)).problems.is_empty());

    // Nobody is set back, or given something else.
    let before = files(&public);
    let error = pull(&older, None).unwrap_err();
    assert!(matches!(error, RepoError::Tuf(osbuild_tuf::Error::Rollback { .. })), "{error:?}");
    let elsewhere = fixture.folder.path().join("elsewhere");
    for entry in fs::read_dir(served.join("targets")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with("1.1.0.root.squashfs") {
            fs::write(path, "anything").unwrap();
        }
    }
    let error = mirror::pull(&place, &elsewhere, Some(&root), &|_| {}).unwrap_err();
    assert!(matches!(error, RepoError::Target { .. }), "{error:?}");
    assert!(fs::read_dir(&elsewhere).unwrap().next().is_none());
    assert_eq!(files(&public), before);
}
