//! What `kubectl describe node` shows of it. An event is told after what it tells
//! of was written, and at most once.

use k8s_openapi::api::core::v1::{Event, EventSource, Node, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::chrono::Utc;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client, ResourceExt};

use crate::resources::{Phase, Progress};

/// Nodes are in no namespace, and their events are kept here.
const NAMESPACE: &str = "default";
const COMPONENT: &str = "osbuild-operator";

/// Says that a node entered a phase, if it did.
pub async fn tell(client: &Client, node: &Node, before: Option<Phase>, progress: &Progress) {
    let Some((reason, kind, message)) = words(before.unwrap_or(Phase::Idle), progress) else { return };
    let name = node.name_any();
    let now = Some(Time(Utc::now()));
    let event = Event {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}.")),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(name.clone()),
            uid: node.uid(),
            ..ObjectReference::default()
        },
        reason: Some(reason.to_owned()),
        message: Some(message.clone()),
        type_: Some(kind.to_owned()),
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
        count: Some(1),
        first_timestamp: now.clone(),
        last_timestamp: now,
        ..Event::default()
    };
    eprintln!("{name}: {reason}: {message}");
    let events: Api<Event> = Api::namespaced(client.clone(), NAMESPACE);
    if let Err(error) = events.create(&PostParams::default(), &event).await {
        eprintln!("{name}: the event was not taken: {error}");
    }
}

/// Reason, type and message.
fn words(before: Phase, progress: &Progress) -> Option<(&'static str, &'static str, String)> {
    let version = progress.version.as_deref().unwrap_or("nothing");
    let (reason, message) = match progress.phase {
        now if now == before => return None,
        Phase::Idle if before == Phase::Back => return None,
        Phase::Idle => ("UpdateGivenUp", progress.message.clone()),
        Phase::Cordoned => ("UpdateBegins", format!("is cordoned and drained, to be updated to {version}")),
        Phase::Drained => ("Drained", "its pods have left".to_owned()),
        Phase::Updating => ("Updating", format!("installs {version} and restarts into it")),
        Phase::Back => ("Updated", format!("runs {version} and is well")),
        Phase::Failed => ("UpdateFailed", progress.message.clone()),
    };
    let kind = if matches!(reason, "UpdateFailed" | "UpdateGivenUp") { "Warning" } else { "Normal" };
    Some((reason, kind, message))
}
