//! Who leads, by a Lease, as Kubernetes' own controllers do it: whoever holds it
//! renews it, and another one takes it only after having seen it unchanged for
//! its whole length, by that one's own clock.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::chrono::Utc;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use tokio::time::Instant;

use super::Options;

const NAME: &str = "osbuild-operator";

pub struct Lease {
    leases: Api<Object>,
    identity: String,
    length: Duration,
    /// When it was renewed last.
    renewed: Option<Instant>,
    /// The last that was seen of somebody else's, and since when it is so.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Lease {
    pub fn new(client: Client, options: &Options) -> Self {
        Self {
            leases: Api::namespaced(client, &options.namespace),
            identity: options.identity.clone(),
            length: options.lease,
            renewed: None,
            seen: None,
        }
    }

    /// Whether nobody else can have it: a third of its length is left for what is
    /// being done, and for clocks that differ in speed.
    pub fn is_held(&self) -> bool {
        self.renewed.is_some_and(|renewed| renewed.elapsed() < self.length * 2 / 3)
    }

    /// Renews it, or takes one that is free.
    pub async fn is_held_or_taken(&mut self) -> bool {
        let asked = Instant::now();
        match self.renew_or_take().await {
            Ok(true) => {
                if self.renewed.is_none() {
                    eprintln!("{} leads", self.identity);
                }
                self.renewed = Some(asked);
            }
            Ok(false) => self.renewed = None,
            Err(error) => eprintln!("lease {NAME}: {error}"),
        }
        self.is_held()
    }

    async fn renew_or_take(&mut self) -> Result<bool, kube::Error> {
        let Some(object) = self.leases.get_opt(NAME).await? else {
            let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
            let object = Object { metadata, spec: Some(self.own(&LeaseSpec::default())) };
            return is_written(self.leases.create(&PostParams::default(), &object).await);
        };
        let spec = object.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder != self.identity && !holder.is_empty() {
            let now = Instant::now();
            let since = match &self.seen {
                Some((seen, since)) if *seen == spec => *since,
                _ => now,
            };
            let length = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            let length = length.map_or(self.length, Duration::from_secs);
            self.seen = Some((spec.clone(), since));
            if now - since < length {
                return Ok(false);
            }
        }
        let object = Object { spec: Some(self.own(&spec)), ..object };
        is_written(self.leases.replace(NAME, &PostParams::default(), &object).await)
    }

    fn own(&self, before: &LeaseSpec) -> LeaseSpec {
        let now = Some(MicroTime(Utc::now()));
        let is_renewed = before.holder_identity.as_ref() == Some(&self.identity);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.length.as_secs()).unwrap_or(i32::MAX).max(1)),
            acquire_time: if is_renewed { before.acquire_time.clone() } else { now.clone() },
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!is_renewed)),
            renew_time: now,
        }
    }

    /// So that the next one need not wait.
    pub async fn give_back(&mut self) {
        if !self.is_held() {
            return;
        }
        let freed = async {
            let mut object = self.leases.get(NAME).await?;
            if let Some(spec) =
                object.spec.as_mut().filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity))
            {
                spec.holder_identity = None;
                self.leases.replace(NAME, &PostParams::default(), &object).await?;
            }
            Ok::<_, kube::Error>(())
        };
        if let Err(error) = freed.await {
            eprintln!("lease {NAME}: {error}");
        }
        self.renewed = None;
    }
}

/// Somebody who was faster is no error.
fn is_written(outcome: Result<Object, kube::Error>) -> Result<bool, kube::Error> {
    match outcome {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(error)) if error.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
