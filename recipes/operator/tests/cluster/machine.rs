//! A node without a machine: its object in the cluster, and a server that
//! answers on a Unix socket as the settings API of a node does, with the routes
//! and records that its updater and its inspector have.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use osbuild_operator::drain;
use osbuild_operator::resources::{Drain, Permit};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::Notify;
use tokio::time::sleep;

/// What becomes of an update.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    Updates,
    /// It goes down and stays so.
    IsLost,
    /// It comes back with what it ran before.
    GoesBack,
}

const INSTALLING: Duration = Duration::from_millis(400);
const RESTARTING: Duration = Duration::from_millis(600);
const JUDGING: Duration = Duration::from_millis(400);

#[derive(Debug)]
struct State {
    version: String,
    boot: u32,
    is_up: bool,
    committed: bool,
    /// What the repository gives out to it.
    offer: Option<String>,
    /// What the updater remembers since it started.
    checked: bool,
    updater: &'static str,
    problem: Option<String>,
    staged: Option<String>,
    refused: Vec<String>,
    fate: Fate,
    /// What was asked of it that changes something, and what it did.
    story: Vec<String>,
}

pub struct Machine {
    pub name: String,
    pub socket: PathBuf,
    client: Client,
    state: Mutex<State>,
    /// When it has been switched off.
    pub off: Notify,
    /// When it is on again.
    pub on: Notify,
}

impl Machine {
    pub fn start(name: &str, directory: &Path, client: Client, fate: Fate) -> Result<Arc<Self>, String> {
        let state = State {
            version: "1.0.0".to_owned(),
            boot: 1,
            is_up: true,
            committed: true,
            offer: None,
            checked: false,
            updater: "idle",
            problem: None,
            staged: None,
            refused: Vec::new(),
            fate,
            story: Vec::new(),
        };
        let socket = directory.join(format!("{name}.socket"));
        let _ = std::fs::remove_file(&socket);
        let listener =
            UnixListener::bind(&socket).map_err(|error| format!("{}: {error}", socket.display()))?;
        let machine = Arc::new(Self {
            name: name.to_owned(),
            socket,
            client,
            state: Mutex::new(state),
            off: Notify::new(),
            on: Notify::new(),
        });
        tokio::spawn(serve(Arc::clone(&machine), listener));
        Ok(machine)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a look at the repository finds, or has found by itself since.
    pub fn offer(&self, version: &str) {
        self.state().offer = Some(version.to_owned());
    }

    /// Its publisher takes it back.
    pub fn withdraw(&self) {
        self.state().offer = None;
    }

    pub fn version(&self) -> String {
        self.state().version.clone()
    }

    pub fn story(&self) -> Vec<String> {
        self.state().story.clone()
    }

    pub fn status(&self) -> Value {
        let is_up = self.state().is_up;
        let (ready, boot) = (if is_up { "True" } else { "Unknown" }, self.boot_id());
        json!({
            "conditions": [{ "type": "Ready", "status": ready, "reason": "Test", "message": "" }],
            "nodeInfo": {
                "bootID": boot, "machineID": "", "systemUUID": "", "kernelVersion": "", "osImage": "",
                "containerRuntimeVersion": "", "kubeletVersion": "", "kubeProxyVersion": "",
                "operatingSystem": "linux", "architecture": "amd64",
            },
        })
    }

    fn boot_id(&self) -> String {
        format!("{}-{}", self.name, self.state().boot)
    }

    /// A kubelet that says how the node is.
    pub async fn tell(&self) {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let patch = json!({ "status": self.status() });
        while let Err(error) =
            nodes.patch_status(&self.name, &PatchParams::default(), &Patch::Strategic(&patch)).await
        {
            eprintln!("{}: {error}", self.name);
            sleep(JUDGING).await;
        }
    }

    async fn restart(self: Arc<Self>) {
        let (nodes, pods) = (Api::<Node>::all(self.client.clone()), Api::<Pod>::all(self.client.clone()));
        let is_cordoned = nodes
            .get(&self.name)
            .await
            .is_ok_and(|node| node.spec.is_some_and(|spec| spec.unschedulable == Some(true)));
        let on_node = ListParams::default().fields(&format!("spec.nodeName={}", self.name));
        let all = Drain { timeout_seconds: 0, unmanaged_pods: Permit::Evict, empty_dir_pods: Permit::Evict };
        let left = pods
            .list(&on_node)
            .await
            .map(|pods| pods.iter().filter(|pod| drain::held(pod, &all).is_some()).count());
        let fate = {
            let mut state = self.state();
            let said = format!(
                "restarts, {}, with {:?} pods",
                if is_cordoned { "cordoned" } else { "NOT cordoned" },
                left.unwrap_or(usize::MAX)
            );
            state.story.push(said);
            state.is_up = false;
            state.fate
        };
        self.off.notify_one();
        self.tell().await;
        sleep(RESTARTING).await;
        if fate != Fate::IsLost {
            self.come_up().await;
        }
    }

    async fn come_up(&self) {
        {
            let mut state = self.state();
            let next = state.staged.take().unwrap_or_default();
            match state.fate {
                Fate::GoesBack => state.refused.push(next),
                _ => state.version = next,
            }
            state.boot += 1;
            (state.is_up, state.committed, state.checked, state.updater) = (true, false, false, "idle");
            state.problem = None;
        }
        self.on.notify_one();
        self.tell().await;
        sleep(JUDGING).await;
        self.state().committed = true;
    }

    /// Repairs one that was lost: it comes back with what it was to run.
    pub async fn repair(&self) {
        self.state().fate = Fate::Updates;
        self.come_up().await;
    }

    fn answer(self: &Arc<Self>, method: &str, path: &str, query: &str) -> (u16, Value) {
        let mut state = self.state();
        if method == "POST" {
            state.story.push(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") });
        }
        let refuse = |status: u16, message: &str| {
            (status, json!({ "error": { "kind": "update", "message": message } }))
        };
        let is_busy = matches!(state.updater, "checking" | "installing");
        match (method, path) {
            ("GET", "/v1/node/boot") => {
                let health = state.committed.then(|| json!({ "verdict": "healthy", "well": true }));
                let (boot, version) = (format!("{}-{}", self.name, state.boot), &state.version);
                (
                    200,
                    json!({ "schema": 1, "bootId": boot, "os": { "VERSION_ID": version }, "health": health }),
                )
            }
            ("GET", "/v1/node/slots") => {
                let other = if state.staged.is_some() { "TRIAL" } else { "EMPTY" };
                (
                    200,
                    json!({ "schema": 1, "slots": [
                    { "name": "A", "runs": true, "state": "GOOD", "version": state.version },
                    { "name": "B", "runs": false, "state": other, "version": state.staged },
                ] }),
                )
            }
            ("GET", "/v1/update") => (200, state.record()),
            ("POST", _) if is_busy => refuse(409, "it is busy"),
            ("POST", "/v1/update/check") => {
                state.checked = true;
                (202, state.record())
            }
            ("POST", "/v1/update/install") => {
                state.checked = true;
                let version = query.strip_prefix("version=").unwrap_or_default().to_owned();
                if state.chosen() == Some(&version) {
                    (state.updater, state.problem) = ("installing", None);
                    let machine = Arc::clone(self);
                    tokio::spawn(async move {
                        sleep(INSTALLING).await;
                        let mut state = machine.state();
                        (state.updater, state.staged) = ("activated", Some(version));
                    });
                } else {
                    state.problem = Some("no release is to be installed now".to_owned());
                }
                (202, state.record())
            }
            ("POST", "/v1/update/restart") if state.staged.is_none() => {
                refuse(409, "nothing is installed that the next start would try")
            }
            ("POST", "/v1/update/restart") => {
                let record = state.record();
                tokio::spawn(Arc::clone(self).restart());
                (200, record)
            }
            _ => refuse(404, "there is no such thing"),
        }
    }
}

impl State {
    /// Once it has looked: which release is next.
    fn chosen(&self) -> Option<&String> {
        let is_next = |version: &&String| **version != self.version && !self.refused.contains(version);
        self.offer.as_ref().filter(is_next).filter(|_| self.checked)
    }

    fn record(&self) -> Value {
        let standing = |version: &String| {
            if *version == self.version {
                ("running", "it runs")
            } else if self.refused.contains(version) {
                ("refused", "it failed here, or an operator went back from it")
            } else {
                ("ready", "it can be installed now")
            }
        };
        let offer = self.offer.as_ref().filter(|_| self.checked);
        let releases: Vec<Value> = offer
            .map(|version| json!({ "version": version, "standing": standing(version).0, "why": standing(version).1 }))
            .into_iter()
            .collect();
        json!({
            "schema": 1,
            "state": self.updater,
            "off": null,
            "checked": self.checked.then_some("2026-11-28T12:00:00Z"),
            "problem": self.problem,
            "chosen": self.chosen(),
            "installing": self.staged,
            "downloads": [],
            "loader": null,
            "releases": releases,
        })
    }
}

async fn serve(machine: Arc<Machine>, listener: UnixListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        // One that is down answers nobody.
        if !machine.state().is_up {
            continue;
        }
        let machine = Arc::clone(&machine);
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let uri = request.uri();
                let (status, body) =
                    machine.answer(request.method().as_str(), uri.path(), uri.query().unwrap_or_default());
                let response =
                    Response::builder().status(status).body(Full::new(Bytes::from(format!("{body}\n"))));
                async move { Ok::<_, Infallible>(response.expect("it is valid")) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
