//! What the cluster is asked to keep: one object a node, one policy.

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The only policy that counts.
pub const POLICY: &str = "default";
/// Of the nodes that the operator looks after: put there by whoever runs the
/// cluster, for instance by the nodes' own settings.
pub const MANAGED: &str = "updates.osbuild.local/managed";
/// On a node that the operator cordoned, in the same write as the cordon: what
/// has no such mark is somebody else's.
pub const CORDONED: &str = "updates.osbuild.local/cordoned";
/// On a pod: `stay` leaves it on the node that is updated.
pub const DRAIN: &str = "updates.osbuild.local/drain";

/// How a node's update stands. Made by the operator for each node that it looks
/// after, and named as the node is; removing it begins anew.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "updates.osbuild.local",
    version = "v1alpha1",
    kind = "NodeUpdate",
    status = "NodeUpdateStatus",
    doc = "How a node's update stands: made by the operator, and named as the node is.",
    shortname = "nup",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.progress.phase"}"#,
    printcolumn = r#"{"name":"Runs","type":"string","jsonPath":".status.node.running"}"#,
    printcolumn = r#"{"name":"Next","type":"string","jsonPath":".status.node.chosen"}"#,
    printcolumn = r#"{"name":"Node","type":"string","jsonPath":".status.node.state"}"#,
    printcolumn = r#"{"name":"Since","type":"date","jsonPath":".status.progress.since"}"#,
    printcolumn = r#"{"name":"Why","type":"string","jsonPath":".status.progress.message"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct NodeUpdateSpec {
    /// The version that the node is to go to now, its restart included. Set by the
    /// operator once the node is drained; nothing: the node rests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Written from two sides, each its own half.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeUpdateStatus {
    /// The controller's half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The node's half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Report>,
}

/// Where a node is on its way. What is not known is written as null, which takes
/// away what was there.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    pub phase: Phase,
    /// Since when.
    pub since: Time,
    /// Where it is going.
    #[serde(default)]
    pub version: Option<String>,
    /// The start of the node in which it was drained.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// Of one that failed: where.
    #[serde(default)]
    // An enumeration or null is said in a way that Kubernetes 1.20 does not take.
    #[schemars(with = "Option<String>")]
    pub failed_in: Option<Phase>,
    /// What it waits for, or what went wrong.
    #[serde(default, with = "null_if_empty")]
    #[schemars(with = "Option<String>")]
    pub message: String,
}

/// In the order in which a node goes through them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Phase {
    /// Nothing is done to it.
    Idle,
    /// It is (about to be) cordoned, and its pods are evicted.
    Cordoned,
    /// They are gone.
    Drained,
    /// It installs and restarts, by its own API.
    Updating,
    /// It is back, well, and about to be given pods again.
    Back,
    /// It did not get as far as it should have; it stays as it is.
    Failed,
}

/// What a node says of itself; nulls as in [`Progress`].
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The version that runs.
    pub running: String,
    /// Which start of the node this is.
    pub boot_id: String,
    /// Whether this start was found healthy, and so its slot committed.
    pub committed: bool,
    /// What the updater does: `idle`, `checking`, `installing`, `activated`, `off`.
    pub state: String,
    /// The release that is next and whose turn has come.
    #[serde(default)]
    pub chosen: Option<String>,
    /// The release that the next start tries.
    #[serde(default)]
    pub staged: Option<String>,
    /// Releases that are newer than what runs, newest first.
    #[serde(default)]
    pub releases: Vec<Release>,
    /// What went wrong last.
    #[serde(default)]
    pub problem: Option<String>,
    /// When this was written: every few minutes, changed or not.
    pub seen: Option<Time>,
}

/// A release, and why it is installed or not (yet).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    pub version: String,
    pub standing: String,
    pub why: String,
}

/// How nodes are updated. Only the one that is called `default` counts; without
/// it nothing begins.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "updates.osbuild.local",
    version = "v1alpha1",
    kind = "UpdatePolicy",
    doc = "How nodes are updated; only the one called default counts.",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Unavailable","type":"string","jsonPath":".spec.maxUnavailable"}"#,
    printcolumn = r#"{"name":"Failed","type":"integer","jsonPath":".spec.failuresAllowed"}"#,
    printcolumn = r#"{"name":"Paused","type":"boolean","jsonPath":".spec.paused"}"#,
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".spec.version"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct UpdatePolicySpec {
    /// Which nodes, by their labels.
    #[serde(default = "managed")]
    pub node_selector: std::collections::BTreeMap<String, String>,
    /// How many of them may be away at a time, for whatever reason: a number, or
    /// a share of them (`10%`, rounded down, but at least one unless it is `0%`).
    #[serde(default = "one")]
    pub max_unavailable: IntOrString,
    /// No further node is begun; what is under way ends.
    #[serde(default)]
    pub paused: bool,
    /// No further node is begun while more than so many have failed.
    #[serde(default)]
    pub failures_allowed: u32,
    /// The one version that nodes go to; else whichever is next for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When nodes may be begun; at any time if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    #[serde(default)]
    pub drain: Drain,
    /// From the order to install until the node is back and well, in seconds.
    #[serde(default = "half_an_hour")]
    pub come_back_seconds: u32,
}

impl Default for UpdatePolicySpec {
    fn default() -> Self {
        serde_json::from_str("{}").expect("every field has a default")
    }
}

/// A part of the week, in UTC.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// The days on which it begins; every day if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// `22:30`.
    #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub start: String,
    #[schemars(range(min = 1, max = 168))]
    pub hours: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// How pods are asked to leave. Those of DaemonSets and of files on the node
/// stay, and so do those that say so by a label.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// How long they may take, in seconds; then the node has failed.
    #[serde(default = "quarter_of_an_hour")]
    pub timeout_seconds: u32,
    /// Pods that nothing would make anew elsewhere.
    #[serde(default)]
    pub unmanaged_pods: Permit,
    /// Pods whose data in an `emptyDir` would be lost.
    #[serde(default)]
    pub empty_dir_pods: Permit,
}

impl Default for Drain {
    fn default() -> Self {
        serde_json::from_str("{}").expect("every field has a default")
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Permit {
    /// Such a pod keeps its node from being drained.
    #[default]
    Block,
    /// It is evicted as others are.
    Evict,
}

/// An API server of Kubernetes 1.20 that was built with a recent Go takes an empty
/// text for null, and refuses it.
mod null_if_empty {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
        Some(text).filter(|text| !text.is_empty()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Option::deserialize(deserializer).map(Option::unwrap_or_default)
    }
}

fn managed() -> std::collections::BTreeMap<String, String> {
    std::iter::once((MANAGED.to_owned(), "true".to_owned())).collect()
}

const fn one() -> IntOrString {
    IntOrString::Int(1)
}

const fn half_an_hour() -> u32 {
    1800
}

const fn quarter_of_an_hour() -> u32 {
    900
}

/// The object of a node, which goes with the node.
pub fn object_of(node: &Node) -> NodeUpdate {
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.name_any(),
        uid: node.uid().unwrap_or_default(),
        ..OwnerReference::default()
    };
    NodeUpdate {
        metadata: ObjectMeta {
            name: Some(node.name_any()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: NodeUpdateSpec::default(),
        status: None,
    }
}
