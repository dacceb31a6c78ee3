//! A node that follows a repository, and what is asked of it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use crate::context::Context;
use crate::evidence::judge;
use crate::fleet::Fleet;
use crate::machine::{Machine, Start};
use crate::node::{Node, expect_in_time, healthy};
use crate::scenarios::{all_hold, nonce};

/// A node that follows a repository.
pub(crate) struct Followed<'c> {
    pub(crate) context: &'c Context,
    pub(crate) node: Node,
    pub(crate) fleet: Fleet<'c>,
    /// What `osbuild boot` is given: the first release.
    pub(crate) target: String,
}

impl<'c> Followed<'c> {
    /// A node of the first of these releases, whose repository has that one and the
    /// next; and what building each of them gave.
    pub(crate) fn new<const N: usize>(
        context: &'c Context,
        name: &str,
        releases: [&str; N],
        settings: &str,
    ) -> Result<(Self, [PathBuf; N]), String> {
        let mut images = Vec::new();
        for release in releases {
            images.push(context.build(&context.variant(release))?);
        }
        let fleet = Fleet::serve(context, "fleet")?;
        for image in images.iter().take(2) {
            fleet.publish(image, &[])?;
        }
        let target = context.variant(releases[0]);
        let node = Node::of(context, &target, name)?;
        node.tell(&fleet.settings(settings))?;
        let images = images.try_into().expect("one for each release");
        Ok((Self { context, node, fleet, target }, images))
    }

    /// Starts it, and judges it to be this release, committed.
    pub(crate) fn start(&self, image: &Path) -> Result<Machine, String> {
        self.start_with(image, &nonce())
    }

    /// As [`Followed::start`], with what its containers are to answer.
    pub(crate) fn start_with(&self, image: &Path, nonce: &str) -> Result<Machine, String> {
        let mut machine =
            Machine::start(self.context, &Start { target: &self.target, ..self.node.start(nonce) })?;
        let report = machine.verdict()?;
        healthy(&report).map_err(|error| machine.failure(&error))?;
        all_hold(judge(&report, &self.context.manifest(image)?, nonce, false), &report)?;
        self.node.client.wait(self.node.control)?;
        Ok(machine)
    }

    /// Does what has it restart, and judges the start that gets as far as a
    /// verdict then: it is this release.
    pub(crate) fn restarts(
        &self,
        machine: &mut Machine,
        image: &Path,
        nonce: &str,
        order: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        let before = machine.report()?.last_start().boot_id();
        order()?;
        machine.wait_for("the verdict of another start", |report| {
            let last = report.last_start();
            last.boot_id() != before && last.verdict().is_some()
        })?;
        self.is_release(machine, image, nonce)?;
        self.node.client.wait(self.node.control)
    }

    /// By the evidence of the machine's last start.
    pub(crate) fn is_release(&self, machine: &mut Machine, image: &Path, nonce: &str) -> Result<(), String> {
        let report = machine.report()?.last_start();
        all_hold(judge(&report, &self.context.manifest(image)?, nonce, false), &report)
    }

    pub(crate) fn orders(&self, words: &str, status: i32, expected: &str) -> Result<(), String> {
        self.node.client.says(self.node.control, words, status, expected)
    }

    /// Waits for the turn of what was just released to everybody: that takes a
    /// second, and the node's clock may be behind.
    pub(crate) fn turn_comes(&self) -> Result<(), String> {
        let is_here = || Ok(self.orders("update check", 0, "it can be installed now").is_ok());
        expect_in_time("a release's turn", is_here)
    }

    /// Has what is next installed, which is this.
    pub(crate) fn installs(&self, version: &str) -> Result<(), String> {
        let since = Instant::now();
        self.orders("update install", 0, &format!("{version} is installed"))?;
        println!("  {version} was installed within {:.1} s", since.elapsed().as_secs_f64());
        Ok(())
    }

    pub(crate) fn status(&self) -> Result<Value, String> {
        let text = self.node.client.output(self.node.control, "update status --json")?;
        serde_json::from_slice(&text).map_err(|error| format!("update status: {error}"))
    }
}
