//! Bad blocks that no start comes across: found by reading all of both slots,
//! before anybody needs what is in them.

use std::path::Path;

use serde_json::Value;

use crate::context::Context;
use crate::followed::Followed;
use crate::gpt::{self, EMPTY, GOOD, ROOT_A, ROOT_B, bits};
use crate::machine::Machine;
use crate::node::expect_in_time;
use crate::scenarios::corruption::{flip, place_in};
use crate::scenarios::{assert_bits, nonce};

/// Which no start runs, and so no start reads.
const UNREAD: &str = "usr/bin/journalctl";
/// One panic of the reading that was ordered, and one of each start after it.
const PANICS: usize = 1 + 3;
/// As one machine: two releases, and a slot that spends its starts.
const STARTS: f64 = 6.0;

/// A bad byte of the slot that does not run is told; one of the slot that runs
/// makes the other take over, although every start of it would be healthy.
pub(crate) fn finds_bad_blocks(context: &Context) -> Result<(), String> {
    with(context, "follows-2")
}

/// The same where the second release is another one.
pub(crate) fn with(context: &Context, second: &str) -> Result<(), String> {
    let (followed, [old, new]) = Followed::new(context, "scrub", ["follows-1", second], "")?;
    let nonce = nonce();
    let mut machine = followed.start_with(&old, &nonce)?.patient(STARTS);
    let found = followed.finds(&mut machine, &nonce, &old, &new);
    found.map_err(|failure| machine.failure(&failure))?;
    machine.power_off();
    Ok(())
}

impl Followed<'_> {
    fn finds(&self, machine: &mut Machine, nonce: &str, old: &Path, new: &Path) -> Result<(), String> {
        let disk = &self.node.disk;
        self.orders("update restart", 1, "nothing is installed")?;
        self.installs("2.0.0")?;
        let restart = || self.orders("update restart", 0, "");
        self.restarts(machine, new, nonce, restart)?;
        assert_bits("after the update", disk, (bits(1, 3, true, false), GOOD))?;

        self.orders("update scrub", 0, "whole")?;
        let status = self.status()?;
        for slot in ["running", "other"] {
            let found = &status["scrub"][slot];
            if found["problem"] != Value::Null || found["bytes"].as_u64().is_none_or(|bytes| bytes == 0) {
                return Err(format!("the {slot} slot was not found whole: {status}"));
            }
        }

        // The machine reads what its disk holds by then.
        let place = |root: usize, image: &Path| -> Result<u64, String> {
            let within = place_in(self.context, &image.join("slot/root.squashfs"), UNREAD)?;
            Ok(gpt::extent(disk, root)?.0 + within + 9000)
        };
        let (in_a, in_b) = (place(ROOT_A, old)?, place(ROOT_B, new)?);
        flip(disk, in_a)?;
        self.orders("update scrub", 1, "damaged")?;
        self.orders("update status", 0, "fallback  DAMAGED")?;
        // As it was.
        flip(disk, in_a)?;
        self.orders("update scrub", 0, "whole")?;

        flip(disk, in_b)?;
        self.restarts(machine, old, nonce, || {
            // Nobody is left to say how it ended.
            self.node.client.run(self.node.control, "update scrub").map(drop)
        })?;
        let panics = machine.console().matches("is corrupted").count();
        if panics != PANICS {
            return Err(format!("{panics} bad blocks were read, expected {PANICS}"));
        }
        // The updater looks at a slot that has spent its starts.
        expect_in_time("an empty slot", || Ok(gpt::slots(disk)? == (GOOD, EMPTY)))?;
        self.installs("2.0.0")?;
        self.restarts(machine, new, nonce, restart)
    }
}
