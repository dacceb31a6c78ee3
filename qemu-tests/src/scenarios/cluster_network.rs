//! A cluster brings a pod network of its own, as network plugins do: a
//! DaemonSet puts its program and its configuration on the node.

use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::node::expect_in_time;
use crate::scenarios::confinement::IMAGE;

/// Addresses of the node's own pod network, and of the cluster's.
const OWN: &str = "10.88.";
const BROUGHT: &str = "10.99.";

/// Pods are on the node's own network, and those that come after the
/// DaemonSet's work are on the cluster's.
pub(crate) fn goes_first(plane: &ControlPlane) -> Result<(), String> {
    expect_address(plane, "before", OWN)?;
    plane.apply(&installer())?;
    plane.kubectl(&["rollout", "status", "daemonset/network", "--timeout=180s"])?;
    expect_in_time("an address of the cluster's network", || {
        // The runtime sees the new configuration when it changes.
        Ok(expect_address(plane, "after", BROUGHT).is_ok())
    })
}

/// Runs a pod and looks where it is.
fn expect_address(plane: &ControlPlane, name: &str, expected: &str) -> Result<(), String> {
    plane.apply(&pod(name, "exec sleep infinity"))?;
    plane.kubectl(&["wait", "--for=condition=Ready", &format!("pod/{name}"), "--timeout=180s"])?;
    let address = plane.kubectl(&["get", "pod", name, "-o", "jsonpath={.status.podIP}"])?;
    plane.kubectl(&["delete", "pod", name])?;
    if address.starts_with(expected) {
        return Ok(());
    }
    Err(format!("pod {name} has the address {address:?}, expected {expected}…"))
}

/// One that runs a script for bash, with a label of its name.
pub(crate) fn pod(name: &str, script: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": name, "image": IMAGE, "imagePullPolicy": "Never",
                "command": ["/usr/bin/bash", "-c", script],
            }],
        },
    })
}

fn installer() -> Value {
    let configuration = json!({
        "cniVersion": "0.4.0",
        "name": "cluster",
        "plugins": [{
            "type": "cluster-bridge",
            "bridge": "cluster0",
            "isGateway": true,
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/cni/cluster",
                "ranges": [[{ "subnet": "10.99.0.0/16" }]],
            },
        }],
    });
    let script = format!(
        "cp /plugins/bridge /plugins/cluster-bridge && echo '{configuration}' > /network/10-cluster.conflist && \
         exec sleep infinity"
    );
    let labels = json!({ "app": "network" });
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": { "name": "network" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "hostNetwork": true,
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "network",
                        "image": IMAGE,
                        "imagePullPolicy": "Never",
                        "command": ["/usr/bin/bash", "-c", script],
                        "volumeMounts": [
                            { "name": "plugins", "mountPath": "/plugins" },
                            { "name": "network", "mountPath": "/network" },
                        ],
                    }],
                    "volumes": [
                        { "name": "plugins", "hostPath": { "path": "/opt/cni/bin" } },
                        { "name": "network", "hostPath": { "path": "/etc/cni/net.d" } },
                    ],
                },
            },
        },
    })
}
