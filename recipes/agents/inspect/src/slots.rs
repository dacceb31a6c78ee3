//! The two slots as the law of slots sees them, and what PRIVATE remembers:
//! read, never repaired.

use osbuild_boot::gpt::{Gpt, Place};
use osbuild_boot::private::{Private, Reason, Release};
use osbuild_boot::slot::{Bits, Slot, State};
use osbuild_sys::block::SystemDisk;
use osbuild_sys::{private, release};
use serde_json::{Value, json};

/// # Errors
/// The disk below the root cannot be found or read.
pub fn record() -> Result<Value, String> {
    let disk = SystemDisk::find().map_err(|error| error.to_string())?;
    let loaded = disk.read_table().map_err(|error| error.to_string())?;
    let slots: Vec<Value> = Slot::BOTH
        .into_iter()
        .map(|slot| {
            let mut record = slot_record(&loaded.table, slot);
            record["runs"] = json!(slot == disk.slot);
            add_release(&mut record, &disk, slot);
            record
        })
        .collect();
    Ok(json!({
        "schema": 1,
        "disk": disk.device(),
        "table": {
            "from": match loaded.from { Place::Primary => "primary", Place::Backup => "backup" },
            "needsRepair": loaded.needs_repair,
        },
        "slots": slots,
        "remembered": remembered(&private::read()),
    }))
}

/// State of the slot that runs.
///
/// # Errors
/// As [`record`].
pub fn running_state() -> Result<&'static str, String> {
    let disk = SystemDisk::find().map_err(|error| error.to_string())?;
    let loaded = disk.read_table().map_err(|error| error.to_string())?;
    let pair = loaded.table.slots().ok_or("the partition table is of another layout")?;
    Ok(state_name(pair.of(disk.slot).state()))
}

fn slot_record(table: &Gpt, slot: Slot) -> Value {
    let bits =
        table.partition(slot.boot()).map_or(Bits::EMPTY, |entry| Bits::from_attributes(entry.attributes));
    let state = bits.state();
    json!({
        "name": slot.name(),
        "state": state_name(state),
        "priority": bits.priority,
        "tries": bits.tries,
        "isCommitted": bits.successful,
        "isForced": bits.forced,
        "rootHash": if state == State::Empty { None } else { table.root_hash(slot).map(|hash| hex(&hash)) },
    })
}

/// A slot's version is that of its own kernel image; one that cannot be read
/// says so.
fn add_release(record: &mut Value, disk: &SystemDisk, slot: Slot) {
    let (mut version, mut index, mut problem) = (None, None, None);
    if record["state"] != state_name(State::Empty) {
        match release::read(disk, slot.boot()) {
            Ok(Some(release)) => {
                version = release.version().map(str::to_owned);
                index = release.rollback_index();
            }
            Ok(None) => problem = Some("it holds no kernel image that could start".to_owned()),
            Err(error) => problem = Some(error.to_string()),
        }
    }
    record["version"] = json!(version);
    record["rollbackIndex"] = json!(index);
    record["problem"] = json!(problem);
}

const fn state_name(state: State) -> &'static str {
    match state {
        State::Empty => "EMPTY",
        State::Trial => "TRIAL",
        State::Tried => "TRIED",
        State::Good => "GOOD",
        State::Spent => "SPENT",
    }
}

/// What survives beside the bits.
fn remembered(private: &Private) -> Value {
    let release =
        |release: &Release| json!({ "version": release.version(), "rootHash": hex(&release.root_hash) });
    let refused: Vec<Value> = private
        .refused()
        .map(|refused| {
            let mut record = release(&refused.release);
            record["verdict"] = json!(verdict_name(refused.reason));
            record
        })
        .collect();
    json!({
        "floor": private.floor,
        "trial": private.trial.as_ref().map(release),
        "verdict": private.verdict.map(verdict_name),
        "refused": refused,
    })
}

const fn verdict_name(reason: Reason) -> &'static str {
    match reason {
        Reason::Silent => "silent",
        Reason::Unhealthy => "unhealthy",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use osbuild_boot::gpt::Entry;
    use osbuild_boot::guid::Guid;
    use osbuild_boot::layout::Role;
    use osbuild_boot::private::Refused;
    use osbuild_boot::slot::Pair;

    use super::*;

    fn table(root_hash: &[u8; 32]) -> Gpt {
        let mut table = Gpt::new(Guid::of_disk(root_hash, "test"), 1 << 20);
        for (index, role) in Role::ALL.into_iter().enumerate() {
            let guid = match role {
                Role::RootA => Guid::of_root(root_hash),
                Role::HashA => Guid::of_hash(root_hash),
                role => Guid::of_partition(table.disk_guid, role.name()),
            };
            let first = 2048 * (index as u64 + 1);
            let name = Entry::encode_name(role.name());
            let entry =
                Entry { type_guid: role.type_guid(), guid, first, last: first + 2047, attributes: 0, name };
            table.set_partition(role, &entry);
        }
        table.set_slots(Pair { a: Bits::GOOD, ..Pair::FACTORY });
        table
    }

    #[test]
    fn slots_are_told_by_the_law() {
        let root_hash = std::array::from_fn(|index| index as u8);
        let table = table(&root_hash);
        assert_eq!(
            slot_record(&table, Slot::A),
            json!({
                "name": "A", "state": "GOOD", "priority": 2, "tries": 3, "isCommitted": true, "isForced": false,
                "rootHash": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            })
        );
        let empty = slot_record(&table, Slot::B);
        assert_eq!((&empty["state"], &empty["rootHash"]), (&json!("EMPTY"), &Value::Null));
    }

    #[test]
    fn what_is_remembered_is_told() {
        let release = Release::new("1.2.3", [0xab; 32]).unwrap();
        let mut private = Private::default();
        (private.floor, private.trial) = (7, Some(release));
        private.refuse(Refused { release, reason: Reason::Unhealthy });
        let told = remembered(&private);
        assert_eq!((&told["floor"], &told["trial"]["version"]), (&json!(7), &json!("1.2.3")));
        assert_eq!(told["refused"][0]["verdict"], "unhealthy");
        assert_eq!(told["refused"][0]["rootHash"], "ab".repeat(32));
    }
}
