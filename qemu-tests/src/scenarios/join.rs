//! aws-k8s as a node of a real cluster.
//!
//! Everything runs in one user and network namespace: the metadata service has
//! its link-local address there, and the API server reaches the kubelet at the
//! node's own address, which leads through QEMU to the guest.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::control_plane::{ControlPlane, HOST, PORT, TOKEN};
use crate::imds::Imds;
use crate::machine::{Machine, Start};
use crate::namespace;
use crate::node::expect_in_time;
use crate::node::{ADMIN, CONTROL};
use crate::qmp::{Qmp, Socket};
use crate::scenarios::cluster_network;
use crate::scenarios::cluster_services;
use crate::scenarios::confinement;
use crate::scenarios::nonce;
use crate::scenarios::operate;
use crate::scenarios::pulls;
use crate::ssh::Client;

const TARGET: &str = "aws-k8s";
const NODE: &str = "ip-10-0-2-15.eu-west-1.compute.internal";
pub(crate) const METADATA: &str = "169.254.169.254";
pub(crate) const NODE_ADDRESS: &str = "10.0.2.15";
pub(crate) const KUBELET: u16 = 10250;
/// Ports of the namespace's own, which nobody else uses.
const CONTROL_PORT: u16 = 4022;
const ADMIN_PORT: u16 = 4222;
const USER_DATA: &str = "/latest/user-data";
const WITHOUT_NETWORK: Duration = Duration::from_secs(60);
pub(crate) const POD: &str = "deployment/probe";

pub(crate) fn a_cluster(context: &Context) -> Result<(), String> {
    let programs = context.build("pkgs.control-plane")?;
    context.build(TARGET)?;
    context.build("pkgs.qemu")?;
    context.build("pkgs.kube-proxy-image")?;
    context.build("pkgs.probe-image")?;
    context.build("pkgs.judges")?;
    namespace::with_addresses(context, "aws-k8s-join", &[METADATA, NODE_ADDRESS], || {
        let plane = ControlPlane::start(&programs, &context.scratch("control-plane"))?;
        join(context, &plane).map_err(|failure| format!("{failure}\n{}", plane.logs()))
    })
}

fn join(context: &Context, plane: &ControlPlane) -> Result<(), String> {
    let client = Client::new(context)?;
    let imds = Imds::serve(instance(plane, &client, "abcdef.fedcba9876543210"))?;
    let disk = context.scratch("join.raw");
    let forward = [
        format!("{NODE_ADDRESS}:{KUBELET}:{KUBELET}"),
        format!("{CONTROL_PORT}:{CONTROL}"),
        format!("{ADMIN_PORT}:{ADMIN}"),
    ];
    let nonce = nonce();
    let socket = Socket::new(&context.scratch("join.qmp"))?;
    let start =
        Start { forward: &forward, manufacturer: Some("Amazon EC2"), ..Start::new(TARGET, &disk, &nonce) };

    let mut machine = Machine::start(context, &Start { qmp: Some(&socket.path), ..start })?;
    let found = stays_out(&client, plane, &imds, &mut machine, &mut socket.accept()?);
    found.map_err(|failure| machine.failure(&failure))?;
    machine.power_off();

    imds.set(USER_DATA, user_data(plane, &client, TOKEN));
    let mut machine = Machine::start(context, &start)?;
    let found = joined(context, &client, plane, &imds, &nonce, &mut machine);
    found.map_err(|failure| machine.failure(&failure))?;
    machine.power_off();
    Ok(())
}

/// With no network for a minute, then with a token that the cluster does not
/// know: the node waits for its user data, commits meanwhile, and is no member
/// of the cluster.
fn stays_out(
    client: &Client,
    plane: &ControlPlane,
    imds: &Imds,
    machine: &mut Machine,
    qmp: &mut Qmp,
) -> Result<(), String> {
    qmp.set_link(false)?;
    let pulled = Instant::now();
    machine.verdict()?;
    std::thread::sleep(WITHOUT_NETWORK.saturating_sub(pulled.elapsed()));
    if !imds.asked().is_empty() {
        return Err(format!("without a network the node asked {:?}", imds.asked()));
    }
    qmp.set_link(true)?;
    taken(machine)?;
    client.wait(ADMIN_PORT)?;
    client.says(ADMIN_PORT, "for i in $(seq 60); do pgrep -x kubelet && break; sleep 1; done", 0, "")?;
    // Time enough for it to be refused more than once.
    client.says(ADMIN_PORT, "sleep 30; pgrep -x kubelet", 0, "")?;
    for kind in ["nodes", "certificatesigningrequests"] {
        let found: Value = parsed(&plane.kubectl(&["get", kind, "-o", "json"])?)?;
        if found["items"] != json!([]) {
            return Err(format!("with a wrong token there are {kind}: {}", found["items"]));
        }
    }
    Ok(())
}

/// The user data of the metadata service.
fn taken(machine: &mut Machine) -> Result<(), String> {
    let is_taken = |says: &Value| says["state"] == "taken" && says["source"] == "imds";
    machine.wait_for("the user data taken", |report| report.state("firstboot").is_some_and(is_taken))?;
    Ok(())
}

fn joined(
    context: &Context,
    client: &Client,
    plane: &ControlPlane,
    imds: &Imds,
    nonce: &str,
    machine: &mut Machine,
) -> Result<(), String> {
    machine.verdict()?;
    taken(machine)?;
    let asked = imds.asked();
    if !asked.iter().all(|line| line.ends_with(" 200") || line.ends_with(" 404")) {
        return Err(format!("the metadata service was asked without a token: {asked:?}"));
    }
    plane.is_ready(NODE)?;
    println!("  power-on to Ready: {:.1} s", machine.age().as_secs_f64());
    let node: Value = parsed(&plane.kubectl(&["get", "node", NODE, "-o", "json"])?)?;
    for (pointer, expected) in [
        ("/spec/providerID", "aws:///eu-west-1a/i-0123456789abcdef0"),
        ("/metadata/labels/example.com~1role", "test"),
        ("/status/addresses/0/address", NODE_ADDRESS),
    ] {
        if node.pointer(pointer) != Some(&json!(expected)) {
            return Err(format!(
                "the node's {pointer} is {:?}, expected {expected:?}",
                node.pointer(pointer)
            ));
        }
    }

    plane.apply(&deployment())?;
    plane.kubectl(&["rollout", "status", POD, "--timeout=180s"])?;
    let answer = |name: &str| {
        let digest = Sha256::new().chain_update(nonce).chain_update(name).finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let says = |what: &str, words: &[&str], name: &str| match plane.kubectl(words)? {
        said if said.trim() == answer(name) => Ok(()),
        said => Err(format!("{what}: {said:?}, expected {:?}", answer(name))),
    };
    let logs = || says("the pod's log", &["logs", POD], "deployed");
    logs()?;
    says("a command in the pod", &["exec", POD, "--", "/probe", "executed"], "executed")?;
    // The same question must be able to fail.
    if says("the pod's log", &["logs", POD], "executed").is_ok() {
        return Err("a wrong answer passes for the right one".to_owned());
    }

    client.wait(ADMIN_PORT)?;
    // The service manager knows of the pods, since it made their cgroups.
    client.says(
        ADMIN_PORT,
        "chroot /.osbuild/host /usr/bin/systemctl is-active kubepods.slice",
        0,
        "active",
    )?;
    let container = running_container(plane)?;
    for daemon in
        ["/usr/bin/kubelet", "/usr/bin/containerd --config /etc/containerd", "/usr/lib/osbuild/settings"]
    {
        killed(client, daemon)?;
        expect_in_time("the pod's log", || Ok(logs().is_ok()))?;
        let now = running_container(plane)?;
        if now != container {
            return Err(format!("the death of {daemon} cost the pod its container: {container}, then {now}"));
        }
    }
    client.says(ADMIN_PORT, confinement::IMPORT, 0, "")?;
    confinement::hold(plane)?;
    cluster_services::are_reached(context, client, ADMIN_PORT, plane)?;
    pulls::over_tls(context, client, (CONTROL_PORT, ADMIN_PORT), plane)?;
    cluster_network::goes_first(plane)?;
    client.says(CONTROL_PORT, "get kubernetes.bootstrap-token", 0, "secret = true")?;
    operate::with_a_secret(context, client, (CONTROL_PORT, ADMIN_PORT), TOKEN)?;

    leaves(plane)?;
    joins_by_certificate(context, client, plane)
}

fn leaves(plane: &ControlPlane) -> Result<(), String> {
    plane.kubectl(&["drain", NODE, "--ignore-daemonsets", "--force", "--timeout=180s"])?;
    let pods: Value = parsed(&plane.kubectl(&["get", "pods", "-o", "json"])?)?;
    // Those of DaemonSets go with the node.
    let is_left = |pod: &Value| {
        pod["spec"]["nodeName"] == NODE && pod["metadata"]["ownerReferences"][0]["kind"] != "DaemonSet"
    };
    if pods["items"].as_array().is_none_or(|pods| pods.iter().any(is_left)) {
        return Err(format!("the drained node still has pods: {pods}"));
    }
    plane.kubectl(&["delete", "node", NODE])?;
    match plane.kubectl(&["get", "node", NODE]) {
        Err(error) if error.contains("NotFound") => Ok(()),
        other => Err(format!("the deleted node is still there: {other:?}")),
    }
}

/// With a certificate instead of a token: as it will soon end, the node asks
/// for the next one with it.
fn joins_by_certificate(context: &Context, client: &Client, plane: &ControlPlane) -> Result<(), String> {
    let user = format!("system:node:{NODE}");
    plane.pki.issue_old(&user, "system:nodes")?;
    let part = |end: &str| {
        let path = plane.pki.file(&format!("{user}.{end}"));
        fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    };
    let settings = context.scratch("certificate.toml");
    let text = format!(
        "[kubernetes]\nclient-certificate = \"\"\"\n{}\"\"\"\nclient-key = \"\"\"\n{}\"\"\"\n",
        part("crt")?,
        part("key")?
    );
    fs::write(&settings, text).map_err(|error| format!("{}: {error}", settings.display()))?;
    client.says(
        ADMIN_PORT,
        "chroot /.osbuild/host /usr/bin/systemctl stop kubelet && rm -r /.osbuild/host/var/lib/kubelet/pki",
        0,
        "",
    )?;
    if asked_as(plane, &user)? {
        return Err("the node asked for another certificate before it had this one".to_owned());
    }
    client.says(CONTROL_PORT, "unset kubernetes.bootstrap-token", 0, "")?;
    client.feed(CONTROL_PORT, "apply -", &settings)?;
    client.says(CONTROL_PORT, "get kubernetes.client-key", 0, "secret = true")?;
    plane.is_ready(NODE)?;
    expect_in_time("the request for the next certificate", || asked_as(plane, &user))
}

/// Whether somebody who is this to the cluster asked for a certificate.
fn asked_as(plane: &ControlPlane, user: &str) -> Result<bool, String> {
    let requests: Value = parsed(&plane.kubectl(&["get", "certificatesigningrequests", "-o", "json"])?)?;
    let requests = requests["items"].as_array().ok_or("the cluster lists no requests")?;
    Ok(requests.iter().any(|request| request["spec"]["username"] == user))
}

/// What EC2 says to this instance.
fn instance(plane: &ControlPlane, client: &Client, token: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (USER_DATA, user_data(plane, client, token)),
        ("/latest/meta-data/instance-id", "i-0123456789abcdef0".to_owned()),
        ("/latest/meta-data/instance-type", "m5.large".to_owned()),
        ("/latest/meta-data/local-hostname", NODE.to_owned()),
        ("/latest/meta-data/placement/region", "eu-west-1".to_owned()),
        ("/latest/meta-data/placement/availability-zone", "eu-west-1a".to_owned()),
    ])
}

fn user_data(plane: &ControlPlane, client: &Client, token: &str) -> String {
    let key = &client.public_key;
    format!(
        "[kubernetes]\n\
         api-server = \"https://{HOST}:{PORT}\"\n\
         bootstrap-token = \"{token}\"\n\
         cluster-dns-ips = [\"10.96.0.10\"]\n\
         cluster-certificate = \"\"\"\n{}\"\"\"\n\
         [kubernetes.node-labels]\n\
         \"example.com/role\" = \"test\"\n\
         [host-containers.control]\n\
         user-data = \"{key}\"\n\
         [host-containers.admin]\n\
         enabled = true\n\
         user-data = \"{key}\"\n",
        plane.pki.certificate,
    )
}

/// A pod of the image that the root carries, which answers the challenge.
pub(crate) fn deployment() -> Value {
    let labels = json!({ "app": "probe" });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "probe" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "probe",
                        "image": "osbuild.local/probe:1",
                        "imagePullPolicy": "Never",
                        "command": ["/probe", "deployed", "--stay"],
                        "volumeMounts": [{ "name": "nonce", "mountPath": "/nonce", "readOnly": true }],
                    }],
                    "volumes": [{ "name": "nonce", "hostPath": { "path": "/run/osbuild/nonce", "type": "File" } }],
                },
            },
        },
    })
}

/// Which container the deployment's pod runs, as long as it does.
fn running_container(plane: &ControlPlane) -> Result<String, String> {
    let pods: Value = parsed(&plane.kubectl(&["get", "pods", "-l", "app=probe", "-o", "json"])?)?;
    let status = &pods["items"][0]["status"]["containerStatuses"][0];
    match (status["state"]["running"].is_object(), status["containerID"].as_str()) {
        (true, Some(id)) => Ok(id.to_owned()),
        _ => Err(format!("the pod does not run: {status}")),
    }
}

/// Kills a daemon and waits for the one that follows.
fn killed(client: &Client, daemon: &str) -> Result<(), String> {
    let find = format!("pgrep -f '^{daemon}'");
    let pid = |said: (i32, String)| said.1.lines().next().unwrap_or_default().to_owned();
    let before = pid(client.run(ADMIN_PORT, &find)?);
    client.says(ADMIN_PORT, &format!("kill -KILL {before}"), 0, "")?;
    expect_in_time(daemon, || {
        let now = pid(client.run(ADMIN_PORT, &find)?);
        Ok(!now.is_empty() && now != before)
    })
}

pub(crate) fn parsed(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("kubectl said no JSON: {error}"))
}
