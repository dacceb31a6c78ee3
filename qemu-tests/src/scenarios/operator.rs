//! The operator takes a node of a real cluster from release to release: drained
//! before, uncordoned after, and left as it is by a release that does not hold.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::context::Context;
use crate::control_plane::{ControlPlane, HOST, PORT, TOKEN};
use crate::fleet::Fleet;
use crate::followed::Followed;
use crate::gpt::{GOOD, bits};
use crate::machine::{Machine, slowness};
use crate::namespace;
use crate::node::{Node, expect_in_time};
use crate::scenarios::cluster_services;
use crate::scenarios::join::{KUBELET, NODE_ADDRESS, POD, deployment, parsed};
use crate::scenarios::{assert_bits, nonce};

const NODE: &str = "follower";
/// For an update: a download, a restart or four of them, all under emulation.
const PATIENCE: Duration = Duration::from_secs(2400);
/// Asking takes more than a little of the processor time that the node is emulated
/// with.
const LOOK: Duration = Duration::from_secs(3);
/// The machine restarts that often as one.
const STARTS: f64 = 6.0;

pub(crate) fn updates_a_node(context: &Context) -> Result<(), String> {
    let programs = context.build("pkgs.control-plane")?;
    let images = releases(context)?;
    for target in ["pkgs.qemu", "pkgs.kube-proxy-image", "pkgs.operator-image"] {
        context.build(target)?;
    }
    namespace::with_addresses(context, "operator", &[NODE_ADDRESS], || {
        let plane = ControlPlane::start(&programs, &context.scratch("control-plane"))?;
        follow(context, &plane, &images).map_err(|failure| format!("{failure}\n{}", plane.logs()))
    })
}

fn variant(context: &Context, release: usize) -> String {
    context.variant(&format!("cluster-{release}"))
}

fn releases(context: &Context) -> Result<[PathBuf; 3], String> {
    let built = |release| context.build(&variant(context, release));
    Ok([built(1)?, built(2)?, built(3)?])
}

fn follow(
    context: &Context,
    plane: &ControlPlane,
    [first, second, third]: &[PathBuf; 3],
) -> Result<(), String> {
    let fleet = Fleet::serve(context, "fleet")?;
    fleet.publish(first, &[])?;
    let target = variant(context, 1);
    let mut node = Node::of(context, &target, "operator")?;
    // A kubelet evicts pods where there is as little room as in the image's own.
    node.disk_mib = Some(6144);
    node.forward.push(format!("{NODE_ADDRESS}:{KUBELET}:{KUBELET}"));
    node.tell(&user_data(&fleet, plane))?;
    let followed = Followed { context, node, fleet, target };
    let nonce = nonce();
    let mut machine = followed.start_with(first, &nonce)?.patient(STARTS);
    let cluster = Cluster { plane, followed: &followed, nonce: &nonce };
    cluster
        .goes_through(&mut machine, second, third)
        .map_err(|failure| machine.failure(&format!("{failure}\n{}", cluster.words())))?;
    machine.power_off();
    Ok(())
}

/// One node, and what the cluster has it do.
struct Cluster<'c> {
    plane: &'c ControlPlane,
    followed: &'c Followed<'c>,
    nonce: &'c str,
}

impl Cluster<'_> {
    fn goes_through(&self, machine: &mut Machine, second: &Path, third: &Path) -> Result<(), String> {
        let Self { plane, followed, .. } = self;
        plane.is_ready(NODE)?;
        let (client, admin) = (&followed.node.client, followed.node.admin);
        client.wait(admin)?;
        cluster_services::bring_proxy(followed.context, client, admin, plane)?;
        plane.apply(&deployment())?;
        plane.kubectl(&["rollout", "status", POD, "--timeout=180s"])?;
        self.is_deployed()?;

        plane.apply(&budget())?;
        followed.fleet.publish(second, &[])?;
        self.reaches("the budget's word", |seen, message| {
            seen.phase == "Cordoned" && message.contains("disruption budget")
        })?;
        let held = self.look()?.0;
        if held != (Seen { runs: "1.0.0".to_owned(), ..Seen::away("Cordoned", 1) }) {
            return Err(format!("with a budget that allows no eviction: {held}"));
        }
        plane.kubectl(&["delete", "pdb", "probe"])?;
        let story = self.reaches("2.0.0", |seen, _| seen.phase == "Idle" && seen.runs == "2.0.0")?;
        was_drained(&story)?;
        self.is_release(machine, second)?;
        assert_bits("after the update", &followed.node.disk, (bits(1, 3, true, false), GOOD))?;
        plane.kubectl(&["rollout", "status", POD, "--timeout=180s"])?;

        followed.fleet.publish(third, &[])?;
        let story = self.reaches("a failure", |seen, message| {
            seen.phase == "Failed" && message.contains("3.0.0") && message.contains("it runs 2.0.0")
        })?;
        was_drained(&story)?;
        self.is_release(machine, second)?;
        plane.is_ready(NODE)?;
        // It stays as it is until somebody has looked, and is not tried again.
        std::thread::sleep(Duration::from_secs(60));
        let left = self.look()?.0;
        if left != (Seen { runs: "2.0.0".to_owned(), ..Seen::away("Failed", 0) }) {
            return Err(format!("a node that failed is not left as it is: {left}"));
        }
        plane.kubectl(&["delete", "nodeupdate", NODE])?;
        let story = self.reaches("its pods again", |seen, _| seen.phase == "Idle" && seen.pods == 1)?;
        println!("  after somebody looked: {}", told(&story));
        Ok(())
    }

    fn is_deployed(&self) -> Result<(), String> {
        let Self { plane, followed, .. } = self;
        let image = followed.context.build("pkgs.operator-image")?;
        let image = image.join("usr/share/osbuild/images/operator-image.tar");
        followed.node.client.feed(followed.node.admin, cluster_services::IMPORT, &image)?;
        let manifests = followed.context.project.join("recipes/operator/manifests");
        let apply = |name: &str| {
            plane.kubectl(&["apply", "-f", &manifests.join(name).display().to_string()]).map(drop)
        };
        apply("crds.yaml")?;
        plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
        apply("operator.yaml")?;
        apply("policy.yaml")?;
        for part in ["deployment/controller", "daemonset/node"] {
            plane.kubectl(&["-n", SPACE, "rollout", "status", part, "--timeout=300s"])?;
        }
        expect_in_time("a report of the node", || Ok(self.look().is_ok_and(|(seen, _)| seen.runs == "1.0.0")))
    }

    /// How it is now, and why.
    fn look(&self) -> Result<(Seen, String), String> {
        let get = |words: &[&str]| parsed(&self.plane.kubectl(&[&["get", "-o", "json"], words].concat())?);
        let (node, update) = (get(&["node", NODE])?, get(&["nodeupdate", NODE])?);
        let pods = get(&["pods", "-l", "app=probe"])?;
        let pods = pods["items"].as_array().map_or(&[][..], Vec::as_slice);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (progress, report) = (&update["status"]["progress"], &update["status"]["node"]);
        let seen = Seen {
            phase: text(&progress["phase"]),
            is_cordoned: node["spec"]["unschedulable"] == true,
            pods: pods.iter().filter(|pod| pod["spec"]["nodeName"] == NODE).count(),
            runs: text(&report["running"]),
        };
        Ok((seen, text(&progress["message"])))
    }

    /// Waits until it is so, and returns all that it went through.
    fn reaches(&self, what: &str, holds: impl Fn(&Seen, &str) -> bool) -> Result<Vec<Seen>, String> {
        let since = Instant::now();
        let mut story: Vec<Seen> = Vec::new();
        loop {
            // Between its objects' being removed and made anew there is none.
            let last = self.look();
            if let Ok((seen, message)) = &last {
                if story.last() != Some(seen) {
                    story.push(seen.clone());
                }
                if holds(seen, message) {
                    return Ok(story);
                }
            }
            let patience = PATIENCE.mul_f64(slowness());
            if since.elapsed() > patience {
                let seconds = patience.as_secs();
                return Err(format!("not {what} within {seconds} s: {}, then {last:?}", told(&story)));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// By the evidence of the start that it is in.
    fn is_release(&self, machine: &mut Machine, image: &Path) -> Result<(), String> {
        machine.wait_for("a verdict", |report| report.last_start().verdict().is_some())?;
        self.followed.is_release(machine, image, self.nonce)
    }

    /// What the operator's parts said last, and how the pods are.
    fn words(&self) -> String {
        [
            vec!["-n", SPACE, "logs", "deployment/controller", "--tail=20"],
            vec!["-n", SPACE, "logs", "daemonset/node", "--tail=20"],
            vec!["get", "pods", "-A"],
            vec!["get", "events", "-A", "--field-selector=type=Warning"],
        ]
        .map(|words| {
            let said = self.plane.kubectl(&words);
            format!("--- {} ---\n{}", words.join(" "), said.unwrap_or_else(|error| error))
        })
        .join("\n")
    }
}

const SPACE: &str = "osbuild-operator";

#[derive(Clone, Debug, PartialEq)]
struct Seen {
    phase: String,
    is_cordoned: bool,
    /// Of the deployment, on the node.
    pods: usize,
    runs: String,
}

impl Seen {
    fn away(phase: &str, pods: usize) -> Self {
        Self { phase: phase.to_owned(), is_cordoned: true, pods, runs: String::new() }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cordoned = if self.is_cordoned { " cordoned" } else { "" };
        write!(out, "{}{cordoned} {} with {} pods", self.phase, self.runs, self.pods)
    }
}

fn told(story: &[Seen]) -> String {
    story.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Nothing of the node changes before its pods are gone, and none comes before
/// it is back.
fn was_drained(story: &[Seen]) -> Result<(), String> {
    println!("  {}", told(story));
    let updating: Vec<&Seen> = story.iter().filter(|seen| seen.phase == "Updating").collect();
    if !updating.is_empty() && updating.iter().all(|seen| seen.is_cordoned && seen.pods == 0) {
        return Ok(());
    }
    Err(format!("it was not drained while it was updated: {}", told(story)))
}

/// Which lets the deployment's only pod not go.
fn budget() -> Value {
    json!({
        // The newest that Kubernetes 1.20 knows.
        "apiVersion": "policy/v1beta1",
        "kind": "PodDisruptionBudget",
        "metadata": { "name": "probe" },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "probe" } } },
    })
}

fn user_data(fleet: &Fleet<'_>, plane: &ControlPlane) -> String {
    format!(
        "{}\
         [kubernetes]\n\
         node-name = \"{NODE}\"\n\
         api-server = \"https://{HOST}:{PORT}\"\n\
         bootstrap-token = \"{TOKEN}\"\n\
         cluster-certificate = \"\"\"\n{}\"\"\"\n\
         [kubernetes.node-labels]\n\
         \"updates.osbuild.local/managed\" = \"true\"\n",
        fleet.settings("check-seconds = 10\n"),
        plane.pki.certificate,
    )
}
