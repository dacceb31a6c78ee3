//! On a node: tells the cluster what the node says of itself, and hands the
//! cluster's order on to it.
//!
//! All that it can do to the node is what the node's API lets it do; which
//! release may be installed is for the node to say.

mod host;
mod orders;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::chrono::Utc;
use kube::api::{Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::resources::{NodeUpdate, Report};
use host::Host;
use orders::{Memory, Order};
use report::Look;

/// A report is written again after so long although nothing has changed: a part
/// of the silence after which the controller no longer counts on the node.
const STILL_HERE: Duration = Duration::from_secs(5 * 60);
/// Of a watch, before it is begun anew.
const WATCH_SECONDS: u32 = 240;
/// After a watch or a write that failed.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Options {
    /// The node's, as the cluster calls it.
    pub name: String,
    /// The node's API.
    pub socket: PathBuf,
    /// Between two looks.
    pub every: Duration,
}

/// Until `is_over` is.
pub async fn run(client: Client, options: &Options, over: impl Future<Output = ()>) {
    let objects: Api<NodeUpdate> = Api::all(client);
    let (sender, receiver) = watch::channel(None);
    let follow = follow(objects.clone(), &options.name, sender);
    let serve = serve(objects, options, receiver);
    tokio::select! {
        () = follow => {}
        () = serve => {}
        () = over => {}
    }
}

/// The node's object; `None` as long as the controller has made none.
async fn follow(objects: Api<NodeUpdate>, name: &str, sender: watch::Sender<Option<NodeUpdate>>) {
    let only = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(WATCH_SECONDS);
    loop {
        match objects.get_opt(name).await {
            Ok(object) => {
                let version = object.as_ref().and_then(ResourceExt::resource_version);
                sender.send_replace(object);
                if let Err(error) = changes(&objects, &only, version.as_deref().unwrap_or("0"), &sender).await
                {
                    eprintln!("watch: {error}");
                }
            }
            Err(error) => eprintln!("{name}: {error}"),
        }
        sleep(PATIENCE).await;
    }
}

async fn changes(
    objects: &Api<NodeUpdate>,
    only: &WatchParams,
    version: &str,
    sender: &watch::Sender<Option<NodeUpdate>>,
) -> Result<(), kube::Error> {
    let mut events = objects.watch(only, version).await?.boxed();
    while let Some(event) = events.next().await {
        match event? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                drop(sender.send_replace(Some(object)))
            }
            WatchEvent::Deleted(_) => drop(sender.send_replace(None)),
            WatchEvent::Bookmark(_) => {}
            // What was asked for is too old by now: it is read anew.
            WatchEvent::Error(_) => return Ok(()),
        }
    }
    Ok(())
}

async fn serve(objects: Api<NodeUpdate>, options: &Options, mut object: watch::Receiver<Option<NodeUpdate>>) {
    let host = Host { socket: options.socket.clone() };
    let mut look = Look::default();
    let mut memory = Memory::default();
    let mut written: Option<Instant> = None;
    loop {
        let known = object.borrow_and_update().clone();
        let wanted = known.as_ref().and_then(|object| object.spec.version.clone());
        look.anew(&host, wanted.as_deref()).await;
        if let Some(known) = &known {
            let before = known.status.as_ref().and_then(|status| status.node.as_ref());
            let is_due = written.is_none_or(|written| written.elapsed() >= STILL_HERE);
            if let Some(report) = look.report().filter(|report| is_due || !is_same(before, report)) {
                match write(&objects, &options.name, report).await {
                    Ok(()) => written = Some(Instant::now()),
                    Err(error) => eprintln!("{}: {error}", options.name),
                }
            }
            if let Some(order) = memory.next(&look, wanted.as_deref(), Instant::now()) {
                carry_out(&objects, &host, options, &mut look, &order).await;
            }
        }
        tokio::select! {
            () = sleep(options.every) => {}
            changed = object.changed() => if changed.is_err() { return },
        }
    }
}

async fn carry_out(
    objects: &Api<NodeUpdate>,
    host: &Host,
    options: &Options,
    look: &mut Look,
    order: &Order,
) {
    // A watch may lag behind; a restart that is no longer wanted would hit pods.
    if let Some(version) = order.version() {
        match objects.get(&options.name).await {
            Ok(object) if object.spec.version.as_deref() == Some(version) => {}
            Ok(_) => return,
            Err(error) => return eprintln!("{}: {error}", options.name),
        }
    }
    eprintln!("{}: {order:?}", options.name);
    look.note(host.post(&order.path()).await.map(drop));
}

/// Apart from the time.
fn is_same(before: Option<&Report>, report: &Report) -> bool {
    before.is_some_and(|before| Report { seen: None, ..before.clone() } == *report)
}

async fn write(objects: &Api<NodeUpdate>, name: &str, report: Report) -> Result<(), kube::Error> {
    let report = Report { seen: Some(Time(Utc::now())), ..report };
    let patch = json!({ "status": { "node": report } });
    objects.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
}
