//! A node that a person with a key gets into, by SSH.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::machine::{Start, slowness};
use crate::report::Report;
use crate::ssh::Client;

const TARGET: &str = "qemu-dev";
/// Ports of the node's own containers.
pub(crate) const CONTROL: u16 = 22;
pub(crate) const ADMIN: u16 = 2222;
/// For a container to be imported and started under emulation.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct Node {
    pub(crate) client: Client,
    pub(crate) disk: PathBuf,
    /// Its size in MiB, if that is more than the image's.
    pub(crate) disk_mib: Option<u32>,
    user_data: PathBuf,
    pub(crate) control: u16,
    pub(crate) admin: u16,
    /// Ports of the host's that lead into the node.
    pub(crate) forward: Vec<String>,
}

impl Node {
    pub(crate) fn new(context: &Context, name: &str) -> Result<Self, String> {
        Self::of(context, TARGET, name)
    }

    pub(crate) fn of(context: &Context, target: &str, name: &str) -> Result<Self, String> {
        context.build(target)?;
        let client = Client::new(context)?;
        let user_data = context.scratch(&format!("{name}.toml"));
        let (control, admin) = (free_port()?, free_port()?);
        let forward = vec![format!("{control}:{CONTROL}"), format!("{admin}:{ADMIN}")];
        let disk = context.scratch(&format!("{name}.raw"));
        let node = Self { client, disk, disk_mib: None, user_data, control, admin, forward };
        node.tell("")?;
        Ok(node)
    }

    /// Its user data in the next start: its keys, and more.
    pub(crate) fn tell(&self, more: &str) -> Result<(), String> {
        let key = &self.client.public_key;
        let text = format!(
            "[host-containers.control]\nuser-data = \"{key}\"\n\
             [host-containers.admin]\nenabled = true\nuser-data = \"{key}\"\n{more}"
        );
        std::fs::write(&self.user_data, text).map_err(|error| error.to_string())
    }

    pub(crate) fn start<'a>(&'a self, nonce: &'a str) -> Start<'a> {
        Start {
            user_data: Some(&self.user_data),
            forward: &self.forward,
            disk_mib: self.disk_mib,
            ..Start::new(TARGET, &self.disk, nonce)
        }
    }
}

pub(crate) fn healthy(report: &Report) -> Result<(), String> {
    match report.verdict() {
        Some("healthy") => Ok(()),
        other => Err(format!("the verdict is {other:?}: {:?}", report.event("verdict"))),
    }
}

/// Asks until it holds, for as long as a container takes to start.
pub(crate) fn expect_in_time(
    what: &str,
    mut holds: impl FnMut() -> Result<bool, String>,
) -> Result<(), String> {
    let since = Instant::now();
    while !holds()? {
        let patience = PATIENCE.mul_f64(slowness());
        if since.elapsed() > patience {
            return Err(format!("not {what} within {} s", patience.as_secs()));
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}
