//! What a pod without privileges can do to its node: nothing of this list.
//! A pod that was given everything can do all of it, so each line means
//! something.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::node::expect_in_time;

/// It has a shell and tools.
pub(crate) const IMAGE: &str = "osbuild.local/admin:1";
/// The image as the root carries it, for the node's own containerd.
pub(crate) const IMPORT: &str = "chroot /.osbuild/host /usr/bin/ctr -n k8s.io images import \
                                 /usr/share/osbuild/images/admin-image.tar";

/// Each is a command for bash that succeeds if the pod can do it.
const ATTEMPTS: &[(&str, &str)] = &[
    ("reach the API's socket", "test -S /run/osbuild/api/socket"),
    ("reach it through the first process", "test -S /proc/1/root/run/osbuild/api/socket"),
    ("read the settings", "test -d /proc/1/root/run/osbuild/private || ls /run/osbuild/*.json"),
    ("see the host's processes", "pgrep -x systemd-udevd"),
    ("read the kernel's log", "dmesg | tail -n 1; exit ${PIPESTATUS[0]}"),
    (
        "change a kernel parameter",
        "cat /proc/sys/kernel/panic > /tmp/p && cat /tmp/p > /proc/sys/kernel/panic",
    ),
    ("ask the kernel by sysrq", "echo h > /proc/sysrq-trigger"),
    ("write to sysfs", "echo 0 > /sys/block/vda/queue/iostats && echo 1 > /sys/block/vda/queue/iostats"),
    (
        "read the node's disk",
        "mknod /dev/own b $(tr : ' ' < /sys/block/vda/dev) && head -c 512 /dev/own > /dev/null",
    ),
    ("mount", "unshare --mount true"),
    ("set the clock", "date -s @$(date +%s)"),
    ("change cgroups", "mkdir /sys/fs/cgroup/escape"),
    ("trace the first process", "head -c 1 /proc/1/mem; readlink /proc/1/exe | grep systemd"),
];

/// What any pod can: one that could not even try says nothing.
const ALLOWED: (&str, &str) = ("write into its own file system", "echo x > /tmp/mine");

/// Asks a pod of each kind.
pub(crate) fn hold(plane: &ControlPlane) -> Result<(), String> {
    for (name, security) in
        [("plain", json!({})), ("plain-user", json!({ "runAsUser": 1000, "runAsNonRoot": true }))]
    {
        let could = outcomes(plane, name, &pod(name, &security, false))?;
        let possible: Vec<&String> = could.iter().filter(|(_, can)| **can).map(|(what, _)| what).collect();
        if possible != [ALLOWED.0] {
            return Err(format!(
                "a pod without privileges ({name}) can {possible:?}, expected only {:?}",
                ALLOWED.0
            ));
        }
    }
    let could = outcomes(plane, "mighty", &pod("mighty", &json!({ "privileged": true }), true))?;
    let impossible: Vec<&String> = could.iter().filter(|(_, can)| !**can).map(|(what, _)| what).collect();
    if !impossible.is_empty() {
        return Err(format!("not even a pod with all privileges can {impossible:?}: this proves nothing"));
    }
    println!("  {} attempts: none by a plain pod, all by a privileged one", ATTEMPTS.len());
    Ok(())
}

/// Begins the lines that an attempt said.
const SAID: &str = "# ";

/// By attempt, whether it succeeded.
fn outcomes(plane: &ControlPlane, name: &str, pod: &Value) -> Result<BTreeMap<String, bool>, String> {
    plane.apply(pod)?;
    let phase = || plane.kubectl(&["get", "pod", name, "-o", "jsonpath={.status.phase}"]);
    expect_in_time(&format!("the end of pod {name}"), || match phase()?.as_str() {
        "Failed" => Err(format!("pod {name} failed: {}", plane.kubectl(&["logs", name])?)),
        other => Ok(other == "Succeeded"),
    })?;
    let said = plane.kubectl(&["logs", name])?;
    println!("  pod {name}:\n    {}", said.trim_end().replace('\n', "\n    "));
    plane.kubectl(&["delete", "pod", name, "--grace-period=1"])?;
    let mut outcomes = BTreeMap::new();
    for line in said.lines().filter(|line| !line.starts_with(SAID)) {
        let (can, what) = line.split_once(' ').ok_or_else(|| format!("pod {name} said {line:?}"))?;
        outcomes.insert(what.to_owned(), can == "0");
    }
    if outcomes.len() != ATTEMPTS.len() + 1 {
        return Err(format!("pod {name} tried {} of {}: {said:?}", outcomes.len(), ATTEMPTS.len() + 1));
    }
    Ok(outcomes)
}

fn pod(name: &str, security: &Value, everything: bool) -> Value {
    let script: String = ATTEMPTS
        .iter()
        .chain([&ALLOWED])
        .map(|(what, command)| {
            format!("( {command} ) >/tmp/said 2>&1; echo \"$? {what}\"; sed 's/^/{SAID}/' /tmp/said\n")
        })
        .collect();
    // Whoever it runs as may write below /tmp.
    let mut volumes = vec![json!({ "name": "own", "emptyDir": {} })];
    let mut mounts = vec![json!({ "name": "own", "mountPath": "/tmp" })];
    if everything {
        volumes.push(json!({ "name": "run", "hostPath": { "path": "/run/osbuild" } }));
        mounts.push(json!({ "name": "run", "mountPath": "/run/osbuild" }));
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name },
        "spec": {
            // A network of its own would have a /sys of its own, which the
            // sandbox of the pod mounts read-only for all of it.
            "hostNetwork": everything,
            "hostPID": everything,
            "restartPolicy": "Never",
            "volumes": volumes,
            "containers": [{
                "name": name,
                "image": IMAGE,
                "imagePullPolicy": "Never",
                "command": ["/usr/bin/bash", "-c", script],
                "securityContext": security,
                "volumeMounts": mounts,
            }],
        },
    })
}
