//! Whether a node would go from one release to another, before one is started.

use std::fs;

use osbuild_core::repo::follower::channel_to;
use osbuild_core::repo::release::Slot;
use osbuild_core::repo::waves::{Order, change, find_line};

use crate::fixture::{Fixture, START, later, signers};
use crate::release::Made;

/// 1.0.0 in stable, 1.1.0 in candidate; a node of the first, which trusts the
/// first root of `roots`, is asked about the second.
fn asked(
    prepare: impl FnOnce(&Fixture),
    old: &Made,
    new: &Made,
    channel: Option<&str>,
    days: u64,
    roots: Option<&Fixture>,
) -> Result<String, String> {
    let fixture = Fixture::new();
    fixture
        .publish_with(&Made::new("1.0.0", 1), START, |request| request.wave = Some("now".to_owned()))
        .unwrap();
    fixture
        .publish_with(&Made::new("1.1.0", 2), START, |request| request.channel = "candidate".to_owned())
        .unwrap();
    prepare(&fixture);
    let read = |made: &Made| Slot::read(&fixture.make(made)).unwrap();
    let root = fs::read(roots.unwrap_or(&fixture).path().join("public/metadata/1.root.json")).unwrap();
    channel_to(&fixture.path(), &root, &read(old), &read(new), channel, later(days))
        .map_err(|error| osbuild_store::error::one_line(&error))
}

#[test]
fn a_node_goes_where_its_laws_let_it() {
    let (old, new) = (Made::new("1.0.0", 1), Made::new("1.1.0", 2));
    let stable = |fixture: &Fixture| {
        fixture.publish_with(&new, START, |request| request.wave = Some("now".to_owned())).unwrap();
    };
    assert_eq!(asked(|_| {}, &old, &new, None, 0, None).as_deref(), Ok("candidate"));
    assert_eq!(asked(|_| {}, &old, &new, Some("candidate"), 0, None).as_deref(), Ok("candidate"));
    assert_eq!(asked(stable, &old, &new, Some("stable"), 0, None).as_deref(), Ok("stable"));
    // Something newer holds nobody back from it.
    let newer = |fixture: &Fixture| {
        fixture
            .publish_with(&Made::new("1.2.0", 3), START, |request| request.channel = "candidate".to_owned())
            .unwrap();
    };
    assert_eq!(asked(newer, &old, &new, None, 0, None).as_deref(), Ok("candidate"));

    let order = |fixture: &Fixture, order: &Order| {
        let (repository, state) = fixture.open();
        let line = find_line(&state, Some("candidate/test")).unwrap();
        change(&repository, &state, &line, Some("1.1.0"), order, &signers(), START).unwrap();
    };
    let pause = |fixture: &Fixture| order(fixture, &Order::Pause { why: "look at it".to_owned() });
    let slow = |fixture: &Fixture| order(fixture, &Order::Set("100%@9d".to_owned()));
    let refused = [
        (asked(stable, &old, &new, None, 0, None), "published in candidate and stable: which one?"),
        (asked(|_| {}, &old, &new, Some("stable"), 0, None), "is not published in the channel stable"),
        (asked(|_| {}, &old, &Made { seed: 9, ..new.clone() }, None, 0, None), "is not published:"),
        (asked(|_| {}, &new, &old, None, 0, None), "its rollback index is 1, of the old release 2"),
        (asked(|_| {}, &new, &new, None, 0, None), "that is what it runs"),
        (asked(pause, &old, &new, None, 0, None), "it is held: look at it"),
        (asked(slow, &old, &new, None, 0, None), "its wave is not over"),
        // As the node would not believe it.
        (asked(|_| {}, &old, &new, None, 2, None), "expired"),
        (asked(|_| {}, &old, &new, None, 0, Some(&Fixture::new())), "sign"),
    ];
    for (outcome, said) in refused {
        let error = outcome.unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
    }
}
