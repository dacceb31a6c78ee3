//! What is to hold, each as a story of a small cluster.

use std::time::Duration;

use osbuild_operator::resources::Phase;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::machine::Fate::{self, GoesBack, IsLost, Updates};
use crate::plane::{Plane, text};
use crate::proxy;
use crate::world::{NEW, World};

type Story<'p> = std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + 'p>>;
type Case = (&'static str, fn(&Plane) -> Story<'_>);

/// A case, by the name of its function.
macro_rules! cases {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), |plane| Box::pin($name(plane)))),*] };
}

pub const CASES: &[Case] = cases![
    one_at_a_time,
    a_budget_blocks_and_lets_go,
    a_drain_that_takes_too_long,
    pods_by_policy,
    a_node_that_is_lost,
    a_node_that_goes_back,
    killed_after_every_write,
    paused,
    cordoned_by_somebody,
    a_share_of_the_nodes,
    one_of_two_leads,
    no_more_rights_than_needed,
];

fn all(count: usize) -> Vec<Fate> {
    vec![Updates; count]
}

fn nothing() -> Value {
    json!({})
}

fn is(what: &str, found: impl PartialEq<Value> + std::fmt::Debug, expected: Value) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, expected {expected}")) }
}

/// Three nodes with pods: one after the other, each without its pods but for
/// those that belong to it, and each told of.
async fn one_at_a_time(plane: &Plane) -> Result<(), String> {
    let world = World::new(plane, &all(3), nothing()).await?;
    for node in ["n0", "n1", "n2"] {
        world.pod(&format!("app-{node}"), node, nothing()).await?;
    }
    let daemon = json!([{ "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d", "controller": true }]);
    world.pod("daemon", "n1", json!({ "metadata": { "ownerReferences": daemon } })).await?;
    let mirror = json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "x" }, "ownerReferences": [] } });
    world.pod("mirror", "n1", mirror).await?;
    let _controller = world.controller("c").await?;
    world.is_in("n1", Phase::Updating, "").await?;
    println!("{}", plane.kubectl(&["get", "nodeupdates"]).await?);
    world.are_updated(&["n0", "n1", "n2"]).await?;
    world.most_away(1)?;
    let pods = world.pods().list(&Default::default()).await.map_err(text)?;
    let left: Vec<Value> = pods.items.into_iter().map(|pod| json!(pod.metadata.name)).collect();
    is("pods that are left", json!(left), json!(["daemon", "mirror"]))?;
    let order: Vec<String> = world.phases().into_iter().filter(|line| line.ends_with("Updating")).collect();
    is("the order", json!(order), json!(["n0 Updating", "n1 Updating", "n2 Updating"]))?;
    for node in ["n0", "n1", "n2"] {
        let expected = json!(["UpdateBegins", "Drained", "Updating", "Updated"]);
        is("events", json!(world.events(node).await?), expected)?;
    }
    Ok(())
}

async fn a_budget_blocks_and_lets_go(plane: &Plane) -> Result<(), String> {
    let world = World::new(plane, &all(2), nothing()).await?;
    world.pod("app", "n0", nothing()).await?;
    world.budget("app").await?;
    let _controller = world.controller("c").await?;
    world
        .is_in(
            "n0",
            Phase::Cordoned,
            "default/app: Cannot evict pod as it would violate the pod's disruption budget",
        )
        .await?;
    world.stays_idle("n1", "at most 1 of 2").await?;
    world.pods().get("app").await.map_err(text)?;
    is("orders", json!(world.machine("n0").story()), json!(["/v1/update/check"]))?;
    plane.kubectl(&["delete", "pdb", "app"]).await?;
    world.are_updated(&["n0", "n1"]).await?;
    world.most_away(1)
}

/// It fails, nothing else is begun, and it goes on when the budget lets go.
async fn a_drain_that_takes_too_long(plane: &Plane) -> Result<(), String> {
    let world =
        World::new(plane, &all(2), json!({ "maxUnavailable": 2, "drain": { "timeoutSeconds": 3 } })).await?;
    world.pod("app", "n0", nothing()).await?;
    world.budget("app").await?;
    world.machine("n1").withdraw();
    let _controller = world.controller("c").await?;
    world.is_in("n0", Phase::Failed, "not drained within 3 s: waits for default/app").await?;
    world.machine("n1").offer(NEW);
    world.stays_idle("n1", "waits: n0 failed").await?;
    is("the cordon", json!(world.is_cordoned("n0").await?), json!([true, true]))?;
    is("events", json!(world.events("n0").await?), json!(["UpdateBegins", "UpdateFailed"]))?;
    plane.kubectl(&["delete", "pdb", "app"]).await?;
    world.are_updated(&["n0", "n1"]).await
}

/// Pods that nothing would make anew, and pods with data, are evicted only if
/// the policy says so; a release that is taken back meanwhile ends the drain.
async fn pods_by_policy(plane: &Plane) -> Result<(), String> {
    let blocks = json!({ "drain": { "emptyDirPods": "Block" } });
    let world = World::new(plane, &all(1), blocks).await?;
    world.pod("single", "n0", json!({ "metadata": { "ownerReferences": [] } })).await?;
    world.pod("data", "n0", json!({ "spec": { "volumes": [{ "name": "v", "emptyDir": {} }] } })).await?;
    let _controller = world.controller("c").await?;
    world
        .is_in("n0", Phase::Cordoned, "default/single: nothing would make it anew (drain.unmanagedPods)")
        .await?;
    world
        .is_in("n0", Phase::Cordoned, "default/data: its emptyDir would be lost (drain.emptyDirPods)")
        .await?;
    world.machine("n0").withdraw();
    world
        .until("n0 given up", async || Ok(world.events("n0").await?.contains(&"UpdateGivenUp".to_owned())))
        .await?;
    world.until("n0 takes pods", async || Ok(world.is_cordoned("n0").await? == (false, false))).await?;
    for pod in ["single", "data"] {
        world.pods().get(pod).await.map_err(text)?;
    }
    is("orders", json!(world.machine("n0").story()), json!(["/v1/update/check"]))
}

/// It stays cordoned, nothing else is begun, and all goes on once it is back.
async fn a_node_that_is_lost(plane: &Plane) -> Result<(), String> {
    let world =
        World::new(plane, &[IsLost, Updates, Updates], json!({ "maxUnavailable": 2, "comeBackSeconds": 6 }))
            .await?;
    for other in ["n1", "n2"] {
        world.machine(other).withdraw();
    }
    let _controller = world.controller("c").await?;
    world.is_in("n0", Phase::Updating, "").await?;
    world.is_in("n0", Phase::Failed, "not back within 6 s").await?;
    is("the cordon", json!(world.is_cordoned("n0").await?), json!([true, true]))?;
    is("the last event", json!(world.events("n0").await?.last()), json!("UpdateFailed"))?;
    // They could have it now, and two may be away.
    for other in ["n1", "n2"] {
        world.machine(other).offer(NEW);
    }
    world.stays_idle("n1", "waits: n0 failed").await?;
    world.stays_idle("n2", "waits: n0 failed").await?;
    world.most_away(1)?;
    world.machine("n0").repair().await;
    world.are_updated(&["n0", "n1", "n2"]).await
}

/// It fails at once; whoever looked into it removes its object, and it takes pods
/// again, without being tried once more.
async fn a_node_that_goes_back(plane: &Plane) -> Result<(), String> {
    let world = World::new(plane, &[GoesBack, Updates], nothing()).await?;
    let _controller = world.controller("c").await?;
    world
        .is_in("n0", Phase::Failed, "2.0.0: it failed here, or an operator went back from it; it runs 1.0.0")
        .await?;
    world.stays_idle("n1", "waits: n0 failed").await?;
    is("the cordon", json!(world.is_cordoned("n0").await?), json!([true, true]))?;
    plane.kubectl(&["delete", "nodeupdate", "n0"]).await?;
    world.are_updated(&["n1"]).await?;
    world.until("n0 takes pods", async || Ok(world.is_cordoned("n0").await? == (false, false))).await?;
    world.is_in("n0", Phase::Idle, "2.0.0: it failed here").await?;
    world.most_away(1)
}

/// Every life of the controller writes once, and is over before it knows that it
/// did. Each node restarts once all the same.
async fn killed_after_every_write(plane: &Plane) -> Result<(), String> {
    let world = World::new(plane, &all(2), nothing()).await?;
    for node in ["n0", "n1"] {
        world.pod(&format!("app-{node}"), node, nothing()).await?;
    }
    let (url, mut written) = proxy::start(plane.anonymous().await?).await?;
    let mut writes = Vec::new();
    let mut controller = world.controller_by("c", &url).await?;
    let is_done = async || -> Result<bool, String> {
        for machine in &world.machines {
            let wanted = world
                .objects()
                .get_opt(&machine.name)
                .await
                .map_err(text)?
                .and_then(|object| object.spec.version);
            let is_new = machine.version() == NEW && wanted.is_none();
            if !is_new
                || world.is_cordoned(&machine.name).await?.0
                || world.phase(&machine.name).await?.0 != Phase::Idle
            {
                return Ok(false);
            }
        }
        Ok(true)
    };
    while !is_done().await? {
        let Ok(Some((what, goes_on))) = timeout(Duration::from_secs(60), written.recv()).await else {
            return Err(format!("nothing was written for a minute after {writes:#?}"));
        };
        controller.kill().await.map_err(text)?;
        goes_on.notify_one();
        writes.push(what);
        controller = world.controller_by("c", &url).await?;
    }
    drop(controller);
    world.are_updated(&["n0", "n1"]).await?;
    world.most_away(1)?;
    println!("  {} lives", writes.len());
    // Of a node: its object, its cordon, its eviction, its order, and what is said.
    for (step, least) in
        [("nodeupdates", 2), ("/nodes/n0", 2), ("/eviction", 2), ("/nodeupdates/n1/status", 5)]
    {
        let count = writes.iter().filter(|what| what.contains(step)).count();
        if count < least {
            return Err(format!("killed after {step} only {count} times: {writes:#?}"));
        }
    }
    Ok(())
}

/// Nothing further is begun, and what is under way ends.
async fn paused(plane: &Plane) -> Result<(), String> {
    let world = World::new(plane, &all(2), json!({ "paused": true })).await?;
    let _controller = world.controller("c").await?;
    world.stays_idle("n0", "waits: the policy is paused").await?;
    world.set(nothing()).await?;
    world.is_in("n0", Phase::Updating, "").await?;
    world.set(json!({ "paused": true })).await?;
    world.are_updated(&["n0"]).await?;
    world.stays_idle("n1", "waits: the policy is paused").await?;
    world.set(nothing()).await?;
    world.are_updated(&["n1"]).await
}

/// Such a node is counted, not begun, and left as it is.
async fn cordoned_by_somebody(plane: &Plane) -> Result<(), String> {
    let world = World::new(plane, &all(2), nothing()).await?;
    plane.kubectl(&["cordon", "n0"]).await?;
    let _controller = world.controller("c").await?;
    world.stays_idle("n1", "at most 1 of 2").await?;
    world.stays_idle("n0", "somebody cordoned it").await?;
    world.set(json!({ "maxUnavailable": 2 })).await?;
    world.are_updated(&["n1"]).await?;
    world.stays_idle("n0", "somebody cordoned it").await?;
    is("the cordon", json!(world.is_cordoned("n0").await?), json!([true, false]))?;
    plane.kubectl(&["uncordon", "n0"]).await?;
    world.are_updated(&["n0"]).await
}

/// Two of five at 40 %, and as many as that.
async fn a_share_of_the_nodes(plane: &Plane) -> Result<(), String> {
    let world = World::new(plane, &all(5), json!({ "maxUnavailable": "40%" })).await?;
    let _controller = world.controller("c").await?;
    world.are_updated(&["n0", "n1", "n2", "n3", "n4"]).await?;
    world.most_away(2)
}

/// The other one takes over when the first is killed, and only then.
async fn one_of_two_leads(plane: &Plane) -> Result<(), String> {
    let world = World::new(plane, &all(2), nothing()).await?;
    let holder = async || {
        let path = "jsonpath={.spec.holderIdentity}";
        plane.kubectl(&["get", "lease", "osbuild-operator", "-n", "osbuild-operator", "-o", path]).await
    };
    let mut first = world.controller("c").await?;
    world.until("the first leads", async || Ok(holder().await.is_ok_and(|holder| holder == "c"))).await?;
    let mut second = world.controller("other").await?;
    world.is_in("n0", Phase::Updating, "").await?;
    is("who leads", holder().await?, json!("c"))?;
    first.kill().await.map_err(text)?;
    world.are_updated(&["n0", "n1"]).await?;
    is("who leads", holder().await?, json!("other"))?;
    // One that is told to end gives it back.
    let pid = second.id().ok_or("the second ended")?.to_string();
    tokio::process::Command::new("kill").arg(&pid).status().await.map_err(text)?;
    let status = second.wait().await.map_err(text)?;
    is("the second's end", json!(status.success()), json!(true))?;
    is("who leads", holder().await?, json!(""))
}

/// As the API server judges the manifests.
async fn no_more_rights_than_needed(plane: &Plane) -> Result<(), String> {
    let (own, core, leases) = ("updates.osbuild.local", "", "coordination.k8s.io");
    for (account, verb, group, what, is_allowed) in [
        ("controller", "patch", core, "nodes", true),
        ("controller", "delete", core, "nodes", false),
        ("controller", "create", core, "pods/eviction", true),
        ("controller", "delete", core, "pods", false),
        ("controller", "create", core, "pods", false),
        ("controller", "get", core, "secrets", false),
        ("controller", "create", own, "nodeupdates", true),
        ("controller", "delete", own, "nodeupdates", false),
        ("controller", "get", own, "updatepolicies", true),
        ("controller", "patch", own, "updatepolicies", false),
        ("controller", "update", leases, "leases", false),
        ("node", "get", own, "nodeupdates", true),
        ("node", "patch", own, "nodeupdates/status", true),
        ("node", "patch", own, "nodeupdates", false),
        ("node", "create", own, "nodeupdates", false),
        ("node", "patch", core, "nodes", false),
        ("node", "list", core, "pods", false),
    ] {
        let (resource, subresource) = what.split_once('/').unwrap_or((what, ""));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": format!("system:serviceaccount:osbuild-operator:{account}"),
                "resourceAttributes": {
                    "namespace": "osbuild-operator", "verb": verb, "group": group,
                    "resource": resource, "subresource": subresource,
                },
            },
        });
        let request = http::Request::post("/apis/authorization.k8s.io/v1/subjectaccessreviews")
            .header("content-type", "application/json")
            .body(review.to_string().into_bytes())
            .map_err(text)?;
        let answer: Value = plane.admin.request(request).await.map_err(text)?;
        is(&format!("{account} {verb} {what}"), answer["status"]["allowed"].clone(), json!(is_allowed))?;
    }
    Ok(())
}
