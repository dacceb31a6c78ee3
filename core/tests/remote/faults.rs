//! Whatever a cluster does, an output is the right one or none.

use osbuild_core::build::BuildError;
use osbuild_core::graph::GraphError;
use osbuild_core::remote::{Remote, RemoteConfig, RemoteError};
use osbuild_store::StorePath;
use tonic::Code;

use crate::cluster::Cluster;
use crate::fixture::Fixture;
use crate::server::{Abilities, Fault, Hash, Server};

fn server() -> Server {
    Server::start(Abilities::of(Hash::Sha256))
}

/// A chain of two, and what it comes out as here.
fn chain(fixture: &Fixture) -> (StorePath, StorePath) {
    let low = fixture.shell("low", "mkdir $out; echo low > $out/x; ln -s x $out/y", &[]);
    let top = fixture.shell("top", "cp $input0/x $out; echo log", &[&low]);
    (low, top)
}

fn expected() -> StorePath {
    let fixture = Fixture::new();
    fixture.build(&chain(&fixture).1).unwrap()
}

fn error(result: Result<StorePath, GraphError>) -> BuildError {
    match result {
        Err(GraphError::Failed { mut failures }) => failures.remove(0).1,
        other => panic!("expected a failed build, got {other:?}"),
    }
}

#[test]
fn a_cluster_may_hash_with_blake3() {
    let server = Server::start(Abilities::of(Hash::Blake3));
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &server.config());
    assert_eq!(cluster.build(&fixture, &chain(&fixture).1).unwrap(), expected());
    assert_eq!(server.ran(), 2);
}

#[test]
fn every_call_says_who_asks() {
    let server = server();
    let fixture = Fixture::new();
    let _cluster = Cluster::of(&fixture, &server.config());
    assert_eq!(server.header("x-token").as_deref(), Some("secret"));
    assert!(server.header("build.bazel.remote.execution.v2.requestmetadata-bin").is_some());
}

#[test]
fn what_passes_is_borne_with() {
    for faults in [
        &[Fault::Busy, Fault::Busy][..],
        &[Fault::CutExecution],
        &[Fault::CutRead],
        &[Fault::CutWrite, Fault::CutWrite],
        &[Fault::MissingInput(Code::FailedPrecondition)],
        &[Fault::MissingInput(Code::Internal)],
        &[Fault::MissingInput(Code::NotFound)],
    ] {
        let server = server();
        server.plan(faults);
        let fixture = Fixture::new();
        let cluster = Cluster::of(&fixture, &server.config());
        assert_eq!(cluster.build(&fixture, &chain(&fixture).1).unwrap(), expected(), "{faults:?}");
        assert!(server.is_through(), "{faults:?} did not happen");
        assert_eq!(server.ran(), 2, "{faults:?}");
    }
}

#[test]
fn an_input_is_sent_once() {
    let server = server();
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &server.config());
    cluster.build(&fixture, &chain(&fixture).1).unwrap();
    // The builder, the root, and two orders that are too large for a batch at most.
    assert!(server.written() <= 4, "{}", server.written());
    let before = server.written();
    let other = fixture.shell("other", "echo > $out", &[]);
    cluster.build(&fixture, &other).unwrap();
    assert!(server.written() <= before + 1);
}

#[test]
fn lost_blobs_are_made_again() {
    let server = server();
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &server.config());
    let (low, top) = chain(&fixture);
    // On the way to a failure, `low` is made and stays there.
    let broken = fixture.shell("broken", "exit 1", &[&low]);
    error(cluster.build(&fixture, &broken));
    assert_eq!(fixture.ran.take(), ["low"]);
    server.lose_blobs();
    assert_eq!(cluster.build(&fixture, &top).unwrap(), expected());
    assert_eq!(fixture.ran.take(), ["low", "top", "substitute top"]);

    // A result whose outputs are gone is no result.
    server.lose_blobs();
    let other = Fixture::new();
    let cluster = Cluster::of(&other, &server.config());
    assert_eq!(cluster.build(&other, &chain(&other).1).unwrap(), expected());
    assert_eq!(other.ran.take(), ["low", "top", "substitute top"]);
}

#[test]
fn what_several_steps_miss_at_once_is_made_again_for_all() {
    let server = server();
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &server.config());
    let low = fixture.shell("low", "echo low > $out", &[]);
    let several: Vec<StorePath> = (0..4)
        .map(|n| {
            fixture.shell(&format!("step-{n}"), &format!("cat $input0 > $out; echo {n} >> $out"), &[&low])
        })
        .collect();
    let all = fixture.shell(
        "all",
        "cat $input0 $input1 $input2 $input3 > $out",
        &several.iter().collect::<Vec<_>>(),
    );
    server.plan(&[Fault::Forget]);
    let built = cluster.build(&fixture, &all).unwrap();
    assert!(server.is_through());
    let text = std::fs::read_to_string(fixture.store.physical(&built)).unwrap();
    assert_eq!(text, "low\n0\nlow\n1\nlow\n2\nlow\n3\n");
}

#[test]
fn a_cluster_that_forgets_everything_costs_time_only() {
    let server = server();
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &server.config());
    let (low, top) = chain(&fixture);
    cluster.build(&fixture, &top).unwrap();
    server.lose_blobs();
    server.lose_results();
    let next = fixture.shell("next", "cat $input0/x $input1 > $out", &[&low, &top]);
    let built = cluster.build(&fixture, &next).unwrap();
    assert_eq!(std::fs::read_to_string(fixture.store.physical(&built)).unwrap(), "low\nlow\n");
}

#[test]
fn a_lying_cluster_is_caught() {
    // Read back, an output is not what it is called: it is made here.
    let server = server();
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &server.config());
    let (low, _) = chain(&fixture);
    let wanted = fixture.shell_with(
        "wanted",
        "cp $input0/x $out",
        &[&low],
        osbuild_core::derivation::Output::Floating {
            recursive: true,
            algorithm: osbuild_store::HashAlgorithm::Sha256,
        },
        &[("preferLocalBuild", "1")],
    );
    let broken = fixture.shell("broken", "exit 1", &[&low]);
    error(cluster.build(&fixture, &broken));
    server.plan(&[Fault::BendRead]);
    let built = cluster.build(&fixture, &wanted).unwrap();
    assert_eq!(std::fs::read_to_string(fixture.store.physical(&built)).unwrap(), "low\n");
    assert!(server.is_through());
    assert!(fixture.ran.warned_of("making it here"));

    for fault in [Fault::BendReport, Fault::BendMentions] {
        let server = server_with(fault);
        let fixture = Fixture::new();
        let cluster = Cluster::of(&fixture, &server.config());
        let error = error(cluster.build(&fixture, &chain(&fixture).0));
        assert!(matches!(error, BuildError::Remote(RemoteError::Wrong { .. })), "{error:?}");
        assert!(server.is_through());
        assert_eq!(fixture.store.all_paths().unwrap().iter().filter(|path| path.name() == "low").count(), 0);
    }
}

fn server_with(fault: Fault) -> Server {
    let server = server();
    server.plan(&[fault]);
    server
}

#[test]
fn a_cluster_that_cannot_build_is_refused_at_once() {
    let fixture = Fixture::new();
    let connect = |config: &RemoteConfig| match Remote::connect(config, fixture.store.home(), &|| false) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    };
    let with = |change: fn(&mut Abilities)| {
        let mut abilities = Abilities::of(Hash::Sha256);
        change(&mut abilities);
        let server = Server::start(abilities);
        connect(&server.config())
    };
    assert!(with(|abilities| abilities.execution = None).ends_with("stores blobs but runs nothing"));
    assert!(
        with(|abilities| abilities.execution = Some(false)).ends_with("does not let this user run anything")
    );
    assert!(
        with(|abilities| abilities.functions = vec![3])
            .ends_with("hashes neither with SHA-256 nor with BLAKE3")
    );

    let server = server();
    let address = server.config().address.replace("/main", "/other");
    assert!(connect(&RemoteConfig { address, ..server.config() }).contains("no such instance"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("grpc://127.0.0.1:{free}");
    let text = connect(&RemoteConfig { address: address.clone(), ..RemoteConfig::default() });
    assert!(text.starts_with(&format!("{address}: cannot ask what it can do: ")), "{text}");
    assert!(text.contains("refused"), "{text}");
}

#[test]
fn a_cluster_that_goes_away_ends_the_build_with_its_name() {
    let mut server = server();
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &server.config());
    server.stop();
    let error = error(cluster.build(&fixture, &chain(&fixture).0));
    let text = error.to_string();
    assert!(matches!(error, BuildError::Remote(RemoteError::Call { .. })), "{error:?}");
    assert!(text.starts_with("grpc://127.0.0.1:") && text.contains("cannot"), "{text}");
}

#[test]
fn what_is_too_large_for_a_cluster_is_named() {
    let server = Server::start(Abilities { blob_bytes: 1000, ..Abilities::of(Hash::Sha256) });
    let fixture = Fixture::new();
    let cluster = Cluster::of(&fixture, &server.config());
    let text = error(cluster.build(&fixture, &chain(&fixture).0)).to_string();
    assert!(
        text.contains("takes blobs of 1000 bytes at most, and ") && text.contains("-root has "),
        "{text}"
    );
    assert_eq!(server.written(), 0);
}

#[test]
fn without_a_builder_nothing_is_sent() {
    let server = server();
    let fixture = Fixture::new();
    let cluster = Cluster::without_builder(&fixture, &server.config());
    let error = error(cluster.build(&fixture, &chain(&fixture).0));
    assert!(error.to_string().ends_with("was given no builder for its machines"), "{error}");
    assert_eq!(server.written(), 0);
}
