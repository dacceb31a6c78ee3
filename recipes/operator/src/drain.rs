//! Which pods keep a node from being drained, after what `kubectl drain` does:
//! those of DaemonSets would come again, those of files on the node cannot go,
//! and finished ones hold nothing.

use std::fmt;

use k8s_openapi::api::core::v1 as core;
use kube::ResourceExt;

use crate::resources::{DRAIN, Drain, Permit};

/// Where the kubelet says that it read a pod from a file.
const MIRROR: &str = "kubernetes.io/config.mirror";

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    /// So that one of the same name, made anew elsewhere, is let alone.
    pub uid: String,
}

impl fmt::Display for Pod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// A pod that has to be gone first.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub pod: Pod,
    pub why: Hold,
    /// What the cluster said when it was asked to evict it last.
    pub refusal: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hold {
    ToBeAsked,
    /// It has been told to end.
    Ends,
    /// The policy does not let it be evicted.
    Unmanaged,
    EmptyDir,
}

impl fmt::Display for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match (self.why, &self.refusal) {
            (Hold::ToBeAsked, Some(refusal)) => refusal,
            (Hold::ToBeAsked, None) => "to be evicted",
            (Hold::Ends, _) => "ends",
            (Hold::Unmanaged, _) => "nothing would make it anew (drain.unmanagedPods)",
            (Hold::EmptyDir, _) => "its emptyDir would be lost (drain.emptyDirPods)",
        };
        write!(formatter, "{}: {why}", self.pod)
    }
}

/// `None`: it does not keep its node from being drained.
pub fn held(pod: &core::Pod, policy: &Drain) -> Option<Held> {
    let controller = pod.owner_references().iter().find(|owner| owner.controller == Some(true));
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let stays = pod.annotations().contains_key(MIRROR)
        || controller.is_some_and(|owner| owner.kind == "DaemonSet")
        || pod.labels().get(DRAIN).is_some_and(|value| value == "stay")
        || matches!(phase, Some("Succeeded" | "Failed"));
    if stays {
        return None;
    }
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref());
    let has_empty_dir =
        volumes.is_some_and(|volumes| volumes.iter().any(|volume| volume.empty_dir.is_some()));
    let why = if pod.metadata.deletion_timestamp.is_some() {
        Hold::Ends
    } else if controller.is_none() && policy.unmanaged_pods == Permit::Block {
        Hold::Unmanaged
    } else if has_empty_dir && policy.empty_dir_pods == Permit::Block {
        Hold::EmptyDir
    } else {
        Hold::ToBeAsked
    };
    let pod = Pod {
        namespace: pod.namespace().unwrap_or_default(),
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
    };
    Some(Held { pod, why, refusal: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const BLOCK: Drain =
        Drain { timeout_seconds: 1, unmanaged_pods: Permit::Block, empty_dir_pods: Permit::Block };
    const EVICT: Drain =
        Drain { timeout_seconds: 1, unmanaged_pods: Permit::Evict, empty_dir_pods: Permit::Evict };

    fn check(pod: Value, blocking: Option<Hold>, evicting: Option<Hold>) {
        let typed: core::Pod = serde_json::from_value(pod.clone()).unwrap();
        let why = |policy| held(&typed, policy).map(|held| held.why);
        assert_eq!((why(&BLOCK), why(&EVICT)), (blocking, evicting), "{pod}");
    }

    #[test]
    fn pods_are_told_apart() {
        let owner = |kind: &str| json!([{ "apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "u", "controller": true }]);
        let with = |key: &str, value: Value| {
            let mut metadata = json!({ "name": "p", "ownerReferences": owner("ReplicaSet") });
            metadata[key] = value;
            json!({ "metadata": metadata })
        };
        let ask = Some(Hold::ToBeAsked);
        check(with("name", json!("p")), ask, ask);
        check(with("ownerReferences", owner("DaemonSet")), None, None);
        check(with("annotations", json!({ MIRROR: "x" })), None, None);
        check(with("labels", json!({ DRAIN: "stay" })), None, None);
        check(with("labels", json!({ DRAIN: "go" })), ask, ask);
        check(with("ownerReferences", json!([])), Some(Hold::Unmanaged), ask);
        let mut no_controller = owner("DaemonSet");
        no_controller[0]["controller"] = json!(false);
        check(with("ownerReferences", no_controller), Some(Hold::Unmanaged), ask);
        check(with("deletionTimestamp", json!("2026-01-01T00:00:00Z")), Some(Hold::Ends), Some(Hold::Ends));
        let mut scratch = with("name", json!("p"));
        scratch["spec"] = json!({ "containers": [], "volumes": [{ "name": "v", "emptyDir": {} }] });
        check(scratch, Some(Hold::EmptyDir), ask);
        for (phase, expected) in [("Succeeded", None), ("Failed", None), ("Running", ask)] {
            let mut pod = with("name", json!("p"));
            pod["status"] = json!({ "phase": phase });
            check(pod, expected, expected);
        }
    }
}
