//! kube-proxy, which a cluster brings as a DaemonSet: services are reached at
//! their addresses, from pods and from the node.

use serde_json::{Value, json};

use crate::context::Context;
use crate::control_plane::{ControlPlane, HOST, PORT};
use crate::node::expect_in_time;
use crate::scenarios::cluster_network::pod;
use crate::scenarios::join::{METADATA, NODE_ADDRESS};
use crate::ssh::Client;

const PROXY: &str = "osbuild.local/kube-proxy:1";
pub(crate) const IMPORT: &str = "chroot /.osbuild/host /usr/bin/ctr -n k8s.io images import -";
/// Of the API server, the first address of the cluster's range.
const API: &str = "10.96.0.1";
/// Of the pod that answers.
const ADDRESS: &str = "10.96.0.22";
const NODE_PORT: u16 = 30022;

/// Pods that ask and answer; then each answer that comes with the proxy, and
/// none before it.
pub(crate) fn are_reached(
    context: &Context,
    client: &Client,
    admin: u16,
    plane: &ControlPlane,
) -> Result<(), String> {
    plane.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": [
        pod("asker", "exec sleep infinity"),
        pod(
            "answerer",
            "ssh-keygen -q -t ed25519 -N '' -f /tmp/key && mkdir -p /run/sshd && \
             exec /usr/sbin/sshd -D -e -f /dev/null -o LogLevel=VERBOSE -h /tmp/key -p 2022",
        ),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": "answerer" },
            "spec": {
                "type": "NodePort",
                "clusterIP": ADDRESS,
                "selector": { "app": "answerer" },
                "ports": [{ "port": 22, "targetPort": 2022, "nodePort": NODE_PORT }],
            },
        },
    ] }))?;
    plane.kubectl(&["wait", "--for=condition=Ready", "pod/asker", "pod/answerer", "--timeout=180s"])?;
    pods_see_each_other(plane)?;
    metadata_is_the_nodes(client, admin, plane)?;

    let api = asking(API, 443, OF_API.0, OF_API.1);
    let service = asking(ADDRESS, 22, "", BANNER);
    let port = asking(NODE_ADDRESS, NODE_PORT, "", BANNER);
    let all = [
        ("the API, from a pod", Some("asker"), &api),
        ("a service, from another pod", Some("asker"), &service),
        ("a service, from its own pod", Some("answerer"), &service),
        ("a service, from the node", None, &service),
        ("a service at the node's port, from a pod", Some("asker"), &port),
    ];
    let ask = |who, question| match who {
        Some(pod) => by_pod(plane, pod, question),
        None => client.says(admin, question, 0, ""),
    };
    for (what, who, question) in all {
        if ask(who, question).is_ok() {
            return Err(format!("{what} is reached without kube-proxy"));
        }
    }

    bring_proxy(context, client, admin, plane)?;
    for (what, who, question) in all {
        expect_in_time(what, || Ok(ask(who, question).is_ok())).map_err(|failure| {
            let log = plane.kubectl(&["-n", "kube-system", "logs", "daemonset/kube-proxy", "--tail=30"]);
            format!("{failure}: {:?}\n{}", ask(who, question), log.unwrap_or_else(|error| error))
        })?;
    }
    println!("  kube-proxy: {} ways to services, none before it", all.len());
    plane.kubectl(&["delete", "service/answerer", "pod/answerer", "pod/asker"]).map(drop)
}

/// Its image goes to the node, and the cluster has it run there.
pub(crate) fn bring_proxy(
    context: &Context,
    client: &Client,
    admin: u16,
    plane: &ControlPlane,
) -> Result<(), String> {
    let image = context.build("pkgs.kube-proxy-image")?.join("usr/share/osbuild/images/kube-proxy-image.tar");
    client.feed(admin, IMPORT, &image)?;
    plane.apply(&proxy(&plane.pki.certificate))?;
    let status = ["-n", "kube-system", "rollout", "status", "daemonset/kube-proxy", "--timeout=180s"];
    plane.kubectl(&status).map(drop)
}

/// With addresses of the node's own subnet they see each other's, and reach
/// what is beyond the node.
fn pods_see_each_other(plane: &ControlPlane) -> Result<(), String> {
    let address = |pod: &str| plane.kubectl(&["get", "pod", pod, "-o", "jsonpath={.status.podIP}"]);
    by_pod(plane, "asker", &asking(&HOST.to_string(), PORT, OF_API.0, OF_API.1))?;
    by_pod(plane, "asker", &asking(&address("answerer")?, 2022, "", BANNER))?;
    let (log, expected) =
        (plane.kubectl(&["logs", "answerer"])?, format!("Connection from {} port", address("asker")?));
    if !log.contains(&expected) {
        return Err(format!("a pod sees another at an address that is not its own: {log:?}"));
    }
    Ok(())
}

/// What a cloud tells its instance may hold secrets.
fn metadata_is_the_nodes(client: &Client, admin: u16, plane: &ControlPlane) -> Result<(), String> {
    let metadata = asking(METADATA, 80, "GET / HTTP/1.0\\r\\n\\r\\n", "HTTP/1");
    client.says(admin, &metadata, 0, "")?;
    match by_pod(plane, "asker", &metadata) {
        Err(_) => Ok(()),
        Ok(()) => Err("a pod reaches the metadata service".to_owned()),
    }
}

/// What the API server says to who asks without TLS.
const OF_API: (&str, &str) = ("GET / HTTP/1.0\\r\\n\\r\\n", "HTTP request to an HTTPS server");
const BANNER: &str = "SSH-2.0-OpenSSH";

fn by_pod(plane: &ControlPlane, pod: &str, question: &str) -> Result<(), String> {
    plane.kubectl(&["exec", pod, "--", "/usr/bin/bash", "-c", question]).map(drop)
}

/// A command for bash that fails unless what answers there says so.
fn asking(address: &str, port: u16, question: &str, answer: &str) -> String {
    format!(
        "timeout 10 bash -c 'exec 3<>/dev/tcp/{address}/{port} && printf \"{question}\" >&3 && \
         grep -q -m 1 \"{answer}\" <&3'"
    )
}

/// As kubeadm deploys it: it finds the API server at an address that needs no
/// proxy, and knows who it is by its account's token.
fn proxy(authority: &str) -> Value {
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "cluster", "cluster": {
            "server": format!("https://{HOST}:{PORT}"), "certificate-authority": "/etc/kube-proxy/ca.crt",
        } }],
        "users": [{ "name": "user", "user": { "tokenFile": format!("{account}/token") } }],
        "contexts": [{ "name": "all", "context": { "cluster": "cluster", "user": "user" } }],
        "current-context": "all",
    });
    let named = json!({ "name": "kube-proxy", "namespace": "kube-system" });
    let labels = json!({ "app": "kube-proxy" });
    json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "ServiceAccount", "metadata": named },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": { "name": "kube-proxy" },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-proxier",
            },
            "subjects": [{ "kind": "ServiceAccount", "name": "kube-proxy", "namespace": "kube-system" }],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": named,
            "data": { "kubeconfig": kubeconfig.to_string(), "ca.crt": authority },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": named,
            "spec": {
                "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": {
                        "serviceAccountName": "kube-proxy",
                        "hostNetwork": true,
                        "terminationGracePeriodSeconds": 1,
                        "containers": [{
                            "name": "kube-proxy",
                            "image": PROXY,
                            "imagePullPolicy": "Never",
                            "args": [
                                "--kubeconfig=/etc/kube-proxy/kubeconfig",
                                "--proxy-mode=iptables",
                                "--cluster-cidr=10.88.0.0/16",
                                "--hostname-override=$(NODE)",
                            ],
                            "env": [{
                                "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } },
                            }],
                            "securityContext": { "privileged": true },
                            "volumeMounts": [{ "name": "configuration", "mountPath": "/etc/kube-proxy" }],
                        }],
                        "volumes": [{ "name": "configuration", "configMap": { "name": "kube-proxy" } }],
                    },
                },
            },
        },
    ] })
}
