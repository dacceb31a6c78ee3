//! What the law says, done. Every write names the version of the object that was
//! looked at, so that it fails if somebody was faster.

use http::Request;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::Controller;
use super::events;
use super::look::Seen;
use crate::drain::Pod;
use crate::law::Action;
use crate::resources::{CORDONED, NodeUpdate, object_of};

pub enum Outcome {
    Done,
    /// Nothing was done, as what was looked at is not what is there now.
    Stale,
}

/// Which node it is about.
pub fn subject(action: &Action) -> &str {
    match action {
        Action::Create { node }
        | Action::Record { node, .. }
        | Action::Cordon { node }
        | Action::Uncordon { node }
        | Action::Evict { node, .. }
        | Action::Want { node, .. } => node,
    }
}

impl Controller {
    pub async fn act(&mut self, action: &Action, seen: &Seen) -> Result<Outcome, kube::Error> {
        let Some(node) = seen.nodes.get(subject(action)) else { return Ok(Outcome::Stale) };
        let name = node.name_any();
        let objects: Api<NodeUpdate> = Api::all(self.client.clone());
        let object_version = seen.objects.get(&name).and_then(ResourceExt::resource_version);
        let done = match action {
            Action::Create { .. } => {
                let created = objects.create(&PostParams::default(), &object_of(node)).await;
                created.map(drop)
            }
            Action::Record { progress, .. } => {
                let patch = json!({
                    "metadata": { "resourceVersion": object_version },
                    "status": { "progress": progress },
                });
                let params = PatchParams::default();
                let written = objects.patch_status(&name, &params, &Patch::Merge(&patch)).await;
                if written.is_ok() {
                    let before =
                        seen.facts.iter().find(|facts| facts.name == name).map(|facts| facts.phase());
                    events::tell(&self.client, node, before, progress).await;
                }
                written.map(drop)
            }
            Action::Want { version, .. } => {
                let patch = json!({
                    "metadata": { "resourceVersion": object_version },
                    "spec": { "version": version },
                });
                objects.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
            }
            Action::Cordon { .. } => self.patch_node(node, json!("true"), json!(true)).await,
            Action::Uncordon { .. } => self.patch_node(node, Value::Null, Value::Null).await,
            Action::Evict { pods, .. } => {
                for pod in pods {
                    self.evict(pod).await?;
                }
                return Ok(Outcome::Done);
            }
        };
        match done {
            Ok(()) => Ok(Outcome::Done),
            Err(kube::Error::Api(error)) if error.code == 409 || error.code == 404 => Ok(Outcome::Stale),
            Err(error) => Err(error),
        }
    }

    /// Cordon and mark are one write, so that neither is ever there alone.
    async fn patch_node(&self, node: &Node, mark: Value, unschedulable: Value) -> Result<(), kube::Error> {
        let patch = json!({
            "metadata": { "resourceVersion": node.resource_version(), "annotations": { CORDONED: mark } },
            "spec": { "unschedulable": unschedulable },
        });
        let nodes: Api<Node> = Api::all(self.client.clone());
        nodes.patch(&node.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
    }

    /// Asks that it goes. What keeps it, a PodDisruptionBudget above all, is
    /// remembered to be told.
    async fn evict(&mut self, pod: &Pod) -> Result<(), kube::Error> {
        let Pod { namespace, name, uid } = pod;
        let eviction = json!({
            "apiVersion": self.evictions,
            "kind": "Eviction",
            "metadata": { "namespace": namespace, "name": name },
            "deleteOptions": { "preconditions": { "uid": uid } },
        });
        let request = Request::post(format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction"))
            .header("content-type", "application/json")
            .body(eviction.to_string().into_bytes())
            .expect("names of pods are valid in a path");
        match self.client.request_text(request).await {
            Ok(_) => {
                self.refusals.remove(pod);
                Ok(())
            }
            // Gone, or another one by now.
            Err(kube::Error::Api(error)) if error.code == 404 || error.code == 409 => Ok(()),
            Err(kube::Error::Api(error)) => {
                self.refusals.insert(pod.clone(), error.message);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// `policy/v1`, or `policy/v1beta1` before Kubernetes 1.22.
///
/// # Errors
/// The cluster does not say.
pub async fn eviction_version(client: &Client) -> Result<String, kube::Error> {
    let resources = client.list_core_api_resources("v1").await?;
    let eviction = resources.resources.into_iter().find(|resource| resource.name == "pods/eviction");
    let version = eviction.and_then(|resource| resource.version).unwrap_or_else(|| "v1".to_owned());
    Ok(format!("policy/{version}"))
}
