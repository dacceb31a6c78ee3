//! The cluster, as the law wants to see it. Read from the API server itself and
//! never from a cache: what is decided by how many nodes are away must not rest
//! on how many there were.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod as CorePod};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use crate::drain::{Held, Pod, held};
use crate::law::Facts;
use crate::resources::{CORDONED, NodeUpdate, POLICY, UpdatePolicy, UpdatePolicySpec};

pub struct Seen {
    pub policy: Option<UpdatePolicySpec>,
    pub facts: Vec<Facts>,
    pub nodes: BTreeMap<String, Node>,
    pub objects: BTreeMap<String, NodeUpdate>,
}

impl Seen {
    /// Whether a pod keeps some node from being drained.
    pub fn is_held(&self, pod: &Pod) -> bool {
        let pods = self.facts.iter().filter_map(|node| node.pods.as_ref()).flatten();
        pods.into_iter().any(|held| held.pod == *pod)
    }
}

pub async fn look(client: &Client, refusals: &BTreeMap<Pod, String>) -> Result<Seen, kube::Error> {
    let everything = ListParams::default();
    let policy = Api::<UpdatePolicy>::all(client.clone()).get_opt(POLICY).await?.map(|policy| policy.spec);
    let objects = Api::<NodeUpdate>::all(client.clone()).list(&everything).await?;
    let nodes = Api::<Node>::all(client.clone()).list(&everything).await?;
    let objects: BTreeMap<String, NodeUpdate> =
        objects.into_iter().map(|object| (object.name_any(), object)).collect();
    let nodes: BTreeMap<String, Node> = nodes.into_iter().map(|node| (node.name_any(), node)).collect();
    let defaults = UpdatePolicySpec::default();
    let rules = policy.as_ref().unwrap_or(&defaults);
    let mut facts = Vec::new();
    for (name, node) in &nodes {
        let mut node_facts = facts_of(node, objects.get(name), rules);
        if node_facts.is_draining() {
            let on_node = ListParams::default().fields(&format!("spec.nodeName={name}"));
            let pods = Api::<CorePod>::all(client.clone()).list(&on_node).await?;
            let pods = pods.iter().filter_map(|pod| held(pod, &rules.drain));
            node_facts.pods =
                Some(pods.map(|pod| Held { refusal: refusals.get(&pod.pod).cloned(), ..pod }).collect());
        }
        facts.push(node_facts);
    }
    Ok(Seen { policy, facts, nodes, objects })
}

fn facts_of(node: &Node, object: Option<&NodeUpdate>, rules: &UpdatePolicySpec) -> Facts {
    let status = node.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let labels = node.labels();
    let own = object.and_then(|object| object.status.as_ref());
    Facts {
        name: node.name_any(),
        is_selected: rules.node_selector.iter().all(|(name, value)| labels.get(name) == Some(value)),
        is_ready: conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        is_unschedulable: node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true)),
        is_marked: node.annotations().contains_key(CORDONED),
        kubelet_boot_id: status
            .and_then(|status| status.node_info.as_ref())
            .map(|info| info.boot_id.clone())
            .unwrap_or_default(),
        has_object: object.is_some(),
        wanted: object.and_then(|object| object.spec.version.clone()),
        progress: own.and_then(|status| status.progress.clone()),
        report: own.and_then(|status| status.node.clone()),
        pods: None,
    }
}
