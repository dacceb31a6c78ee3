//! One case's cluster: its nodes, what runs on them, the operator, and somebody
//! who watches all the while how many nodes are away.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use osbuild_operator::resources::{CORDONED, MANAGED, NodeUpdate, POLICY, Phase, UpdatePolicy};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::machine::{Fate, Machine};
use crate::plane::{Plane, text};

/// The program that cargo built, unless another one is to be tried.
const OPERATOR: &str = env!("CARGO_BIN_EXE_osbuild-operator");
const ANOTHER: &str = "OSBUILD_OPERATOR";
/// For what should happen, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(100);
pub const NEW: &str = "2.0.0";

pub struct World<'p> {
    pub plane: &'p Plane,
    pub machines: Vec<Arc<Machine>>,
    tasks: Vec<JoinHandle<()>>,
    most_away: Arc<AtomicUsize>,
    /// `n0 Cordoned`, as they were seen.
    phases: Arc<Mutex<Vec<String>>>,
}

impl<'p> World<'p> {
    /// Nodes `n0`, `n1`…, to each of which the new release is given out.
    pub async fn new(plane: &'p Plane, fates: &[Fate], policy: Value) -> Result<Self, String> {
        plane
            .kubectl(&["delete", "pods,pdb,events,nodes,nodeupdates", "--all", "--force", "--grace-period=0"])
            .await?;
        plane.kubectl(&["delete", "leases", "--all", "--namespace=osbuild-operator"]).await?;
        let mut world = Self {
            plane,
            machines: Vec::new(),
            tasks: Vec::new(),
            most_away: Arc::default(),
            phases: Arc::default(),
        };
        world.set(policy).await?;
        let token = plane.token("node").await?;
        let kubeconfig = plane.write_kubeconfig("node", &plane.url, &token)?;
        for (number, fate) in fates.iter().enumerate() {
            let name = format!("n{number}");
            let machine = Machine::start(&name, &plane.directory, plane.admin.clone(), *fate)?;
            machine.offer(NEW);
            let node = json!({ "metadata": { "name": name, "labels": { MANAGED: "true" } }, "status": machine.status() });
            let node: Node = serde_json::from_value(node).map_err(text)?;
            world.nodes().create(&PostParams::default(), &node).await.map_err(text)?;
            machine.tell().await;
            world.tasks.push(tokio::spawn(node_role(Arc::clone(&machine), kubeconfig.clone())));
            world.machines.push(machine);
        }
        let watch = watch(plane.admin.clone(), Arc::clone(&world.most_away), Arc::clone(&world.phases));
        world.tasks.push(tokio::spawn(watch));
        Ok(world)
    }

    pub fn nodes(&self) -> Api<Node> {
        Api::all(self.plane.admin.clone())
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.plane.admin.clone())
    }

    pub fn objects(&self) -> Api<NodeUpdate> {
        Api::all(self.plane.admin.clone())
    }

    /// The policy; what is not said is as in the manifest.
    pub async fn set(&self, change: Value) -> Result<(), String> {
        let policies: Api<UpdatePolicy> = Api::all(self.plane.admin.clone());
        let plain = json!({ "spec": {
            "maxUnavailable": 1, "failuresAllowed": 0, "paused": false, "comeBackSeconds": 600, "version": null, "windows": null,
            "drain": { "timeoutSeconds": 600, "emptyDirPods": "Evict", "unmanagedPods": "Block" },
        } });
        for patch in [plain, json!({ "spec": change })] {
            policies.patch(POLICY, &PatchParams::default(), &Patch::Merge(&patch)).await.map_err(text)?;
        }
        Ok(())
    }

    /// With the rights that it has in a cluster.
    pub async fn controller(&self, identity: &str) -> Result<Child, String> {
        self.controller_by(identity, &self.plane.url).await
    }

    pub async fn controller_by(&self, identity: &str, url: &str) -> Result<Child, String> {
        let token = self.plane.token("controller").await?;
        let kubeconfig = self.plane.write_kubeconfig(identity, url, &token)?;
        let words = [
            "controller",
            "--namespace",
            "osbuild-operator",
            "--identity",
            identity,
            "--every",
            "500ms",
            "--lease",
            "4s",
        ];
        operator(&words, &kubeconfig, &self.plane.directory.join(format!("{identity}.log")))
    }

    /// On a node; made by something that would make it anew.
    pub async fn pod(&self, name: &str, node: &str, change: Value) -> Result<(), String> {
        let owner = json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "some", "uid": "some", "controller": true }]);
        let mut pod = json!({
            "metadata": { "name": name, "labels": { "app": name }, "ownerReferences": owner },
            "spec": {
                "nodeName": node, "terminationGracePeriodSeconds": 0,
                "containers": [{ "name": "c", "image": "none" }],
            },
        });
        merge(&mut pod, change);
        let pod: Pod = serde_json::from_value(pod).map_err(text)?;
        self.pods().create(&PostParams::default(), &pod).await.map_err(text)?;
        let status = json!({ "status": {
            "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }],
        } });
        self.pods()
            .patch_status(name, &PatchParams::default(), &Patch::Strategic(&status))
            .await
            .map(drop)
            .map_err(text)
    }

    /// That this pod is not evicted.
    pub async fn budget(&self, name: &str) -> Result<(), String> {
        let path = self.plane.directory.join("budget.json");
        let budget = json!({
            "apiVersion": "policy/v1beta1",
            "kind": "PodDisruptionBudget",
            "metadata": { "name": name },
            "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": name } } },
        });
        std::fs::write(&path, budget.to_string()).map_err(text)?;
        self.plane.kubectl(&["apply", "-f", &path.display().to_string()]).await?;
        // Before its controller has counted, nothing is evicted for another reason.
        self.until("the budget is counted", async || {
            let said =
                self.plane.kubectl(&["get", "pdb", name, "-o", "jsonpath={.status.currentHealthy}"]).await?;
            Ok(said == "1")
        })
        .await
    }

    pub async fn phase(&self, node: &str) -> Result<(Phase, String), String> {
        let object = self.objects().get_opt(node).await.map_err(text)?;
        let progress = object.and_then(|object| object.status).and_then(|status| status.progress);
        Ok(progress.map_or((Phase::Idle, String::new()), |progress| (progress.phase, progress.message)))
    }

    pub async fn is_in(&self, node: &str, phase: Phase, message: &str) -> Result<(), String> {
        self.until(&format!("{node} {phase:?}: {message}"), async || {
            let (now, said) = self.phase(node).await?;
            Ok(now == phase && said.contains(message))
        })
        .await
    }

    /// That a node is not begun for a while.
    pub async fn stays_idle(&self, node: &str, message: &str) -> Result<(), String> {
        self.is_in(node, Phase::Idle, message).await?;
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            let (now, said) = self.phase(node).await?;
            if now != Phase::Idle || self.is_cordoned(node).await?.1 {
                return Err(format!("{node} was begun: {now:?}: {said}"));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Whether it is, and whether by the operator.
    pub async fn is_cordoned(&self, node: &str) -> Result<(bool, bool), String> {
        let node = self.nodes().get(node).await.map_err(text)?;
        let is_cordoned = node.spec.is_some_and(|spec| spec.unschedulable == Some(true));
        let annotations = node.metadata.annotations.unwrap_or_default();
        Ok((is_cordoned, annotations.contains_key(CORDONED)))
    }

    /// All of it is done for these nodes: they run the new release, take pods, and
    /// restarted once, without pods.
    pub async fn are_updated(&self, nodes: &[&str]) -> Result<(), String> {
        for name in nodes {
            let machine = self.machine(name);
            self.until(&format!("{name} updated"), async || {
                let is_new = machine.version() == NEW && !self.is_cordoned(name).await?.0;
                let object = self.objects().get_opt(name).await.map_err(text)?;
                let wanted = object.and_then(|object| object.spec.version);
                Ok(is_new && wanted.is_none() && self.phase(name).await?.0 == Phase::Idle)
            })
            .await?;
            let restarts: Vec<String> =
                machine.story().into_iter().filter(|line| line.starts_with("restarts")).collect();
            if restarts != ["restarts, cordoned, with 0 pods"] {
                return Err(format!("{name}: {restarts:?}; {:?}", machine.story()));
            }
        }
        Ok(())
    }

    pub fn machine(&self, name: &str) -> &Arc<Machine> {
        self.machines.iter().find(|machine| machine.name == name).expect("the case made it")
    }

    pub fn most_away(&self, expected: usize) -> Result<(), String> {
        match self.most_away.load(Ordering::Relaxed) {
            most if most == expected => Ok(()),
            most => {
                Err(format!("{most} nodes were away at a time, expected {expected}: {:?}", self.phases()))
            }
        }
    }

    pub fn phases(&self) -> Vec<String> {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reasons of the events of a node, in their order.
    pub async fn events(&self, node: &str) -> Result<Vec<String>, String> {
        let events: Api<Event> = Api::default_namespaced(self.plane.admin.clone());
        let of_node = ListParams::default().fields(&format!("involvedObject.name={node}"));
        let mut events = events.list(&of_node).await.map_err(text)?.items;
        events.sort_by_key(|event| {
            event.metadata.resource_version.as_ref().and_then(|version| version.parse::<u64>().ok())
        });
        Ok(events.into_iter().filter_map(|event| event.reason).collect())
    }

    pub async fn until(
        &self,
        what: &str,
        mut is_so: impl AsyncFnMut() -> Result<bool, String>,
    ) -> Result<(), String> {
        let since = Instant::now();
        while !is_so().await? {
            if since.elapsed() > PATIENCE {
                let table = self.plane.kubectl(&["get", "nodeupdates"]).await.unwrap_or_else(|error| error);
                let stories: Vec<_> =
                    self.machines.iter().map(|machine| (&machine.name, machine.story())).collect();
                let log = std::fs::read_to_string(self.plane.directory.join("c.log")).unwrap_or_default();
                return Err(format!(
                    "not within {} s: {what}\n{table}{stories:?}\n{:?}\n{log}",
                    PATIENCE.as_secs(),
                    self.phases()
                ));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What a DaemonSet would run there, as long as the node is up.
async fn node_role(machine: Arc<Machine>, kubeconfig: PathBuf) {
    let socket = machine.socket.display().to_string();
    let log = kubeconfig.with_file_name(format!("{}.log", machine.name));
    loop {
        let words = ["node", "--name", &machine.name, "--socket", &socket, "--every", "200ms"];
        let role = operator(&words, &kubeconfig, &log);
        machine.off.notified().await;
        drop(role);
        machine.on.notified().await;
    }
}

fn operator(words: &[&str], kubeconfig: &Path, log: &Path) -> Result<Child, String> {
    let log = File::options().append(true).create(true).open(log).map_err(text)?;
    let program = std::env::var_os(ANOTHER).unwrap_or_else(|| OPERATOR.into());
    Command::new(&program)
        .args(words)
        .env_clear()
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))
}

async fn watch(client: Client, most: Arc<AtomicUsize>, phases: Arc<Mutex<Vec<String>>>) {
    let (nodes, objects) = (Api::<Node>::all(client.clone()), Api::<NodeUpdate>::all(client));
    let mut last = std::collections::BTreeMap::new();
    loop {
        if let Ok(nodes) = nodes.list(&ListParams::default()).await {
            let is_away = |node: &&Node| {
                let is_ready =
                    node.status.as_ref().and_then(|status| status.conditions.as_ref()).is_some_and(
                        |conditions| {
                            conditions
                                .iter()
                                .any(|condition| condition.type_ == "Ready" && condition.status == "True")
                        },
                    );
                !is_ready || node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true))
            };
            most.fetch_max(nodes.iter().filter(is_away).count(), Ordering::Relaxed);
        }
        if let Ok(objects) = objects.list(&ListParams::default()).await {
            for object in objects {
                let name = object.metadata.name.unwrap_or_default();
                let Some(progress) = object.status.and_then(|status| status.progress) else { continue };
                if last.insert(name.clone(), progress.phase) != Some(progress.phase) {
                    phases
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(format!("{name} {:?}", progress.phase));
                }
            }
        }
        sleep(LOOK / 2).await;
    }
}

/// RFC 7396, but for nulls.
fn merge(target: &mut Value, change: Value) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) => {
            for (key, value) in change {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, change) => *target = change,
    }
}
