//! What an attacker who owns a mirror, or a few keys, or the clock, can serve;
//! each is refused by name, and the same repository without it is believed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use ed25519_dalek::{Signer, SigningKey};
use osbuild_tuf::client::{Client, Failure, Kept, Limits, Store, Transport};
use osbuild_tuf::key::Key;
use osbuild_tuf::metadata::*;
use osbuild_tuf::time::Time;
use osbuild_tuf::{Error, Result};

const NOW: Time = Time(1_900_000_000);
const LATER: Time = Time(1_900_100_000);

/// A repository in memory, and whoever can sign for it.
struct Repository {
    files: BTreeMap<String, Vec<u8>>,
    root: Root,
    timestamp: Timestamp,
    snapshot: Snapshot,
    targets: Targets,
    signers: BTreeMap<String, Vec<SigningKey>>,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(key: &SigningKey) -> Key {
    Key::ed25519(key.verifying_key().as_bytes())
}

fn common(kind: &str) -> Common {
    Common::new(kind, 1, LATER)
}

impl Repository {
    fn new() -> Self {
        let mut signers = BTreeMap::new();
        let mut root = Root {
            common: common(ROOT),
            consistent_snapshot: true,
            keys: BTreeMap::new(),
            roles: BTreeMap::new(),
        };
        for (index, role) in [ROOT, TIMESTAMP, SNAPSHOT, TARGETS].into_iter().enumerate() {
            let count = if role == ROOT { 3 } else { 1 };
            let keys: Vec<SigningKey> = (0..count).map(|number| key(10 * index as u8 + number + 1)).collect();
            let ids = keys.iter().map(|key| public(key).id()).collect();
            root.keys.extend(keys.iter().map(|key| (public(key).id(), public(key))));
            root.roles.insert(
                role.to_owned(),
                RoleKeys { keyids: ids, threshold: if role == ROOT { 2 } else { 1 } },
            );
            signers.insert(role.to_owned(), keys);
        }
        let pin = || Pin { version: 1, length: None, hashes: None };
        let target = Target { length: 3, hashes: Hashes::sha256(&[7; 32]), custom: None };
        let mut repository = Self {
            files: BTreeMap::new(),
            root,
            timestamp: Timestamp {
                common: common(TIMESTAMP),
                meta: BTreeMap::from([("snapshot.json".to_owned(), pin())]),
                signed_at: None,
            },
            snapshot: Snapshot {
                common: common(SNAPSHOT),
                meta: BTreeMap::from([("targets.json".to_owned(), pin())]),
            },
            targets: Targets {
                common: common(TARGETS),
                targets: BTreeMap::from([("image".to_owned(), target)]),
                delegations: None,
            },
            signers,
        };
        repository.publish_root();
        repository.publish();
        repository
    }

    fn sealed<T: Role + Clone>(&self, content: &T) -> Vec<u8> {
        let mut envelope = Envelope::unsigned(content.clone());
        for key in &self.signers[T::TYPE] {
            let sig = data_encoding::HEXLOWER.encode(&key.sign(envelope.message()).to_bytes());
            envelope.sign(Signature { keyid: public(key).id(), sig });
        }
        envelope.to_bytes()
    }

    fn publish_root(&mut self) {
        let bytes = self.sealed(&self.root);
        self.files.insert(format!("{}.root.json", self.root.common.version), bytes);
    }

    /// The three below the root, as they are.
    fn publish(&mut self) {
        let targets = self.sealed(&self.targets);
        self.files.insert(format!("{}.targets.json", self.targets.common.version), targets);
        let snapshot = self.sealed(&self.snapshot);
        self.files.insert(format!("{}.snapshot.json", self.snapshot.common.version), snapshot);
        self.files.insert("timestamp.json".to_owned(), self.sealed(&self.timestamp));
    }

    /// One version further: new targets, and what leads to them.
    fn release(&mut self) {
        self.targets.common.version += 1;
        self.pin_targets(self.targets.common.version);
    }

    fn pin_targets(&mut self, version: u64) {
        self.snapshot.meta.get_mut("targets.json").unwrap().version = version;
        self.snapshot.common.version += 1;
        self.timestamp.meta.get_mut("snapshot.json").unwrap().version = self.snapshot.common.version;
        self.timestamp.common.version += 1;
        self.publish();
    }
}

#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Kept>>);

impl Store for Memory {
    fn load(&mut self) -> Kept {
        self.0.borrow().clone()
    }

    fn save(&mut self, kept: &Kept) -> std::result::Result<(), Failure> {
        *self.0.borrow_mut() = kept.clone();
        Ok(())
    }
}

struct Served<'r>(&'r BTreeMap<String, Vec<u8>>);

impl Transport for Served<'_> {
    fn metadata(&mut self, name: &str, limit: u64) -> std::result::Result<Option<Vec<u8>>, Failure> {
        match self.0.get(name) {
            Some(bytes) if bytes.len() as u64 > limit => Err("more than the limit".into()),
            found => Ok(found.cloned()),
        }
    }
}

/// A node that has the first root, and may have seen more.
#[derive(Default)]
struct Node(Memory);

impl Node {
    /// Another that has seen the same.
    fn twin(&self) -> Self {
        Self(Memory(Rc::new(RefCell::new(self.0.0.borrow().clone()))))
    }

    fn update(&self, repository: &Repository, first: &[u8], now: Time) -> Result<Target> {
        let mut client =
            Client::new(first, Served(&repository.files), self.0.clone(), Limits::default(), now)?;
        client.refresh()?;
        client.target("image")
    }

    /// By a clock that may be behind; what time it is then.
    fn update_by_slow_clock(&self, repository: &Repository, first: &[u8], now: Time) -> (Time, Result<()>) {
        let served = Served(&repository.files);
        let mut client = Client::new(first, served, self.0.clone(), Limits::default(), now).unwrap();
        let outcome = client.refresh_by_slow_clock();
        (client.now(), outcome)
    }
}

/// One attack: what a node saw before, what the attacker serves, and the same
/// without it.
struct Attack {
    name: &'static str,
    /// What honest people did after the node had come there first.
    honest: fn(&mut Repository),
    /// Whether the node has seen that, too, when the attack begins.
    node: Seen,
    attack: fn(&mut Repository),
    refused: fn(&Error) -> bool,
}

#[derive(PartialEq)]
enum Seen {
    AllOfIt,
    TheFirstOnly,
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "rollback-timestamp",
        honest: Repository::release,
        node: Seen::AllOfIt,
        attack: |r| {
            r.timestamp.common.version -= 1;
            r.publish();
        },
        refused: |e| matches!(e, Error::Rollback { role, .. } if role == "timestamp"),
    },
    Attack {
        name: "rollback-snapshot-by-timestamp",
        honest: Repository::release,
        node: Seen::AllOfIt,
        attack: |r| {
            r.timestamp.common.version += 1;
            r.timestamp.meta.get_mut("snapshot.json").unwrap().version = 1;
            r.publish();
        },
        refused: |e| matches!(e, Error::Rollback { role, .. } if role == "snapshot"),
    },
    Attack {
        name: "rollback-targets-by-snapshot",
        honest: Repository::release,
        node: Seen::AllOfIt,
        attack: |r| r.pin_targets(1),
        refused: |e| matches!(e, Error::Rollback { role, .. } if role == "targets"),
    },
    Attack {
        name: "targets-vanish-from-the-snapshot",
        honest: Repository::release,
        node: Seen::AllOfIt,
        attack: |r| {
            let pin = r.snapshot.meta.remove("targets.json").unwrap();
            r.snapshot.meta.insert("other.json".to_owned(), pin);
            r.snapshot.common.version += 1;
            r.timestamp.common.version += 1;
            r.timestamp.meta.get_mut("snapshot.json").unwrap().version += 1;
            r.publish();
        },
        refused: |e| matches!(e, Error::Vanished { .. }),
    },
    Attack {
        name: "freeze-with-an-expired-timestamp",
        honest: Repository::release,
        node: Seen::AllOfIt,
        attack: |r| {
            r.timestamp.common.version += 1;
            r.timestamp.common.expires = NOW;
            r.publish();
        },
        refused: |e| matches!(e, Error::Expired { role, .. } if role == "timestamp"),
    },
    Attack {
        name: "freeze-with-an-expired-snapshot",
        honest: Repository::release,
        node: Seen::AllOfIt,
        attack: |r| {
            r.snapshot.common.expires = Time(NOW.0 - 1);
            r.pin_targets(r.targets.common.version);
        },
        refused: |e| matches!(e, Error::Expired { role, .. } if role == "snapshot"),
    },
    Attack {
        name: "freeze-with-expired-targets",
        honest: Repository::release,
        node: Seen::AllOfIt,
        attack: |r| {
            r.targets.common.expires = Time(0);
            r.release();
        },
        refused: |e| matches!(e, Error::Expired { role, .. } if role == "targets"),
    },
    Attack {
        name: "freeze-with-an-expired-root",
        honest: Repository::release,
        node: Seen::AllOfIt,
        attack: |r| {
            r.root.common.version += 1;
            r.root.common.expires = NOW;
            r.publish_root();
        },
        refused: |e| matches!(e, Error::Expired { role, .. } if role == "root"),
    },
    Attack {
        name: "mix-and-match-targets",
        honest: Repository::release,
        node: Seen::TheFirstOnly,
        attack: |r| {
            // The file of one version under the name of the next.
            let old = r.files["1.targets.json"].clone();
            let newest = format!("{}.targets.json", r.targets.common.version);
            r.files.insert(newest, old);
        },
        refused: |e| matches!(e, Error::WrongVersion { role, .. } if role == "targets"),
    },
    Attack {
        name: "mix-and-match-snapshot",
        honest: Repository::release,
        node: Seen::TheFirstOnly,
        attack: |r| {
            let old = r.files["1.snapshot.json"].clone();
            let newest = format!("{}.snapshot.json", r.snapshot.common.version);
            r.files.insert(newest, old);
        },
        refused: |e| matches!(e, Error::WrongVersion { role, .. } if role == "snapshot"),
    },
    Attack {
        name: "endless-timestamp",
        honest: |_| {},
        node: Seen::AllOfIt,
        attack: |r| {
            r.files.insert("timestamp.json".to_owned(), vec![b' '; 20_000]);
        },
        refused: |e| matches!(e, Error::Transport { .. }),
    },
    Attack {
        name: "root-by-one-of-two-keys",
        honest: |_| {},
        node: Seen::AllOfIt,
        attack: |r| {
            r.signers.get_mut(ROOT).unwrap().truncate(1);
            r.root.common.version += 1;
            r.publish_root();
        },
        refused: |e| matches!(e, Error::Threshold { role, valid: 1, threshold: 2 } if role == "root"),
    },
    Attack {
        name: "root-by-new-keys-alone",
        honest: |_| {},
        node: Seen::AllOfIt,
        attack: |r| {
            let keys = [key(201), key(202)];
            r.root.keys.extend(keys.iter().map(|key| (public(key).id(), public(key))));
            r.root.roles.get_mut(ROOT).unwrap().keyids = keys.iter().map(|key| public(key).id()).collect();
            r.signers.insert(ROOT.to_owned(), keys.into());
            r.root.common.version += 1;
            r.publish_root();
        },
        refused: |e| matches!(e, Error::Threshold { role, valid: 0, .. } if role == "root"),
    },
    Attack {
        name: "root-leaps-ahead",
        honest: |_| {},
        node: Seen::AllOfIt,
        attack: |r| {
            r.root.common.version += 2;
            let bytes = r.sealed(&r.root);
            r.files.insert(format!("{}.root.json", r.root.common.version - 1), bytes);
        },
        refused: |e| matches!(e, Error::WrongVersion { role, .. } if role == "root"),
    },
    Attack {
        name: "one-key-under-two-names",
        honest: |_| {},
        node: Seen::AllOfIt,
        attack: |r| {
            // Two of two for the timestamp, which are the same key.
            let again = public(&r.signers[TIMESTAMP][0]);
            r.root.keys.insert("another-name".to_owned(), again);
            let role = r.root.roles.get_mut(TIMESTAMP).unwrap();
            role.keyids.push("another-name".to_owned());
            role.threshold = 2;
            r.root.common.version += 1;
            r.publish_root();
            r.timestamp.common.version += 1;
            let key = &r.signers[TIMESTAMP][0];
            let mut envelope = Envelope::unsigned(r.timestamp.clone());
            let sig = data_encoding::HEXLOWER.encode(&key.sign(envelope.message()).to_bytes());
            envelope.sign(Signature { keyid: public(key).id(), sig: sig.clone() });
            envelope.sign(Signature { keyid: "another-name".to_owned(), sig });
            r.files.insert("timestamp.json".to_owned(), envelope.to_bytes());
        },
        refused: |e| matches!(e, Error::Threshold { role, valid: 1, threshold: 2 } if role == "timestamp"),
    },
    Attack {
        name: "timestamp-by-the-snapshots-key",
        honest: |_| {},
        node: Seen::AllOfIt,
        attack: |r| {
            let key = r.signers[SNAPSHOT].clone();
            r.signers.insert(TIMESTAMP.to_owned(), key);
            r.timestamp.common.version += 1;
            r.publish();
        },
        refused: |e| matches!(e, Error::Threshold { role, valid: 0, .. } if role == "timestamp"),
    },
    Attack {
        name: "a-snapshot-passes-for-a-timestamp",
        honest: |_| {},
        node: Seen::AllOfIt,
        attack: |r| {
            let bytes = r.sealed(&r.snapshot);
            r.files.insert("timestamp.json".to_owned(), bytes);
        },
        refused: |e| matches!(e, Error::Malformed { role, .. } if role == "timestamp"),
    },
    Attack {
        name: "targets-are-not-what-the-snapshot-hashed",
        honest: |r| {
            r.targets.common.version += 1;
            let bytes = r.sealed(&r.targets);
            let pin = r.snapshot.meta.get_mut("targets.json").unwrap();
            pin.length = Some(bytes.len() as u64);
            pin.hashes = Some(Hashes::sha256(
                &sha2::Digest::finalize(sha2::Digest::chain_update(
                    <sha2::Sha256 as sha2::Digest>::new(),
                    &bytes,
                ))
                .into(),
            ));
            r.pin_targets(r.targets.common.version);
        },
        node: Seen::TheFirstOnly,
        attack: |r| {
            // Signed by the right key all the same.
            r.targets.targets.get_mut("image").unwrap().length += 1;
            let bytes = r.sealed(&r.targets);
            r.files.insert(format!("{}.targets.json", r.targets.common.version), bytes);
        },
        refused: |e| matches!(e, Error::Mismatch { .. }),
    },
    Attack {
        name: "metadata-with-a-fraction",
        honest: |_| {},
        node: Seen::AllOfIt,
        attack: |r| {
            let text = String::from_utf8(r.files["timestamp.json"].clone()).unwrap();
            r.files.insert(
                "timestamp.json".to_owned(),
                text.replace("\"version\": 1", "\"version\": 1.0").into_bytes(),
            );
        },
        refused: |e| matches!(e, Error::Malformed { .. }),
    },
    Attack {
        name: "another-specification",
        honest: |_| {},
        node: Seen::AllOfIt,
        attack: |r| {
            r.timestamp.common.version += 1;
            r.timestamp.common.spec_version = "2.0.0".to_owned();
            r.publish();
        },
        refused: |e| matches!(e, Error::Malformed { .. }),
    },
];

#[test]
fn each_attack_is_refused_and_the_same_without_it_is_not() {
    for attack in ATTACKS {
        let mut repository = Repository::new();
        let first = repository.files["1.root.json"].clone();
        let node = Node::default();
        let context = |what: &str| format!("{}: {what}", attack.name);
        node.update(&repository, &first, NOW)
            .unwrap_or_else(|error| panic!("{}", context(&error.to_string())));

        (attack.honest)(&mut repository);
        let honest = node.twin();
        honest
            .update(&repository, &first, NOW)
            .unwrap_or_else(|error| panic!("{}", context(&error.to_string())));
        let node = if attack.node == Seen::AllOfIt { honest } else { node };
        (attack.attack)(&mut repository);
        let refusal = node.update(&repository, &first, NOW).expect_err(&context("accepted"));
        assert!((attack.refused)(&refusal), "{}", context(&format!("refused otherwise: {refusal}")));
    }
}

/// Every way in which the kept metadata may be gone or spoiled: what the store
/// gives is whole or nothing, so a node that lost it is as one that is new.
#[test]
fn a_node_that_lost_its_store_begins_with_the_image() {
    let mut repository = Repository::new();
    let first = repository.files["1.root.json"].clone();
    repository.root.common.version += 1;
    repository.publish_root();
    let node = Node::default();
    node.update(&repository, &first, NOW).unwrap();
    *node.0.0.borrow_mut() = Kept::default();
    node.update(&repository, &first, NOW).unwrap();
    assert_eq!(node.0.0.borrow().roots.len(), 2);
}

/// A root that was kept but does not follow from the image's is not believed.
#[test]
fn kept_roots_must_follow_from_the_images() {
    let mut repository = Repository::new();
    let first = repository.files["1.root.json"].clone();
    let node = Node::default();
    node.update(&repository, &first, NOW).unwrap();

    let mut forged = Repository::new();
    for (index, keys) in forged.signers.values_mut().enumerate() {
        keys.iter_mut().enumerate().for_each(|(number, it)| *it = key(100 + 10 * index as u8 + number as u8));
    }
    let signers = forged.signers.clone();
    for (role, keys) in signers {
        forged.root.keys.extend(keys.iter().map(|key| (public(key).id(), public(key))));
        forged.root.roles.get_mut(&role).unwrap().keyids = keys.iter().map(|key| public(key).id()).collect();
    }
    forged.root.common.version = 2;
    node.0.0.borrow_mut().roots.push(forged.sealed(&forged.root));
    repository.release();
    node.update(&repository, &first, NOW).unwrap();
    assert_eq!(node.0.0.borrow().roots.len(), 1);
}

/// Once the keys of timestamp and snapshot are others.
fn change_online_keys(repository: &mut Repository) {
    for (role, seed) in [(TIMESTAMP, 77), (SNAPSHOT, 78)] {
        let key = key(seed);
        repository.root.keys.insert(public(&key).id(), public(&key));
        repository.root.roles.get_mut(role).unwrap().keyids = vec![public(&key).id()];
        repository.signers.insert(role.to_owned(), vec![key]);
    }
    repository.root.common.version += 1;
    repository.publish_root();
    repository.release();
}

/// Versions that an attacker drove too high are forgotten then (5.3.11).
#[test]
fn recovers_from_versions_driven_too_high() {
    let mut repository = Repository::new();
    let first = repository.files["1.root.json"].clone();
    let node = Node::default();
    let honest = (repository.timestamp.clone(), repository.snapshot.clone());
    repository.timestamp.common.version = 1 << 40;
    repository.publish();
    node.update(&repository, &first, NOW).unwrap();

    (repository.timestamp, repository.snapshot) = honest;
    change_online_keys(&mut repository);
    node.update(&repository, &first, NOW).unwrap();
}

/// A clock is not before the newest timestamp was signed; so what had expired by
/// then is not believed by a clock that is behind.
#[test]
fn a_clock_that_is_behind_is_set_forward() {
    const BEHIND: Time = Time(NOW.0 - 5_000_000);
    let mut repository = Repository::new();
    let first = repository.files["1.root.json"].clone();
    let node = Node::default();
    assert_eq!(node.update_by_slow_clock(&repository, &first, BEHIND).0, BEHIND);
    repository.timestamp.signed_at = Some(NOW);
    repository.release();
    for _ in 0..2 {
        let (now, outcome) = node.update_by_slow_clock(&repository, &first, BEHIND);
        assert!(now == NOW && outcome.is_ok(), "{outcome:?}");
    }
    assert_eq!(node.update_by_slow_clock(&repository, &first, LATER).0, LATER, "one that is ahead stays");

    repository.targets.common.expires = NOW;
    repository.release();
    node.twin().update(&repository, &first, BEHIND).unwrap();
    let (_, outcome) = node.update_by_slow_clock(&repository, &first, BEHIND);
    assert!(matches!(&outcome, Err(Error::Expired { role, .. }) if role == TARGETS), "{outcome:?}");
}

/// A timestamp that was signed with a time to come, by mistake or by whoever has
/// stolen the key, holds nodes until the next one, and not at all if nothing could
/// be believed at that time.
#[test]
fn recovers_from_a_clock_driven_ahead() {
    let mut repository = Repository::new();
    let first = repository.files["1.root.json"].clone();
    let node = Node::default();
    let update = |repository: &Repository| node.update_by_slow_clock(repository, &first, NOW);
    repository.timestamp.common.expires = Time(LATER.0 + 9);
    for signed_at in [LATER, Time(LATER.0 + 9), Time(LATER.0 + 10)] {
        repository.timestamp.signed_at = Some(signed_at);
        repository.release();
        let (now, outcome) = update(&repository);
        assert!(now == NOW && outcome.is_ok(), "{outcome:?}");
    }

    // Nothing but the root and the timestamp lasts for so long.
    repository.targets.common.expires = Time(LATER.0 - 50);
    let driven_ahead = Some(Time(LATER.0 - 1));
    repository.timestamp.signed_at = driven_ahead;
    repository.release();
    for _ in 0..2 {
        let (now, outcome) = update(&repository);
        assert!(Some(now) == driven_ahead && matches!(outcome, Err(Error::Expired { .. })), "{outcome:?}");
    }
    repository.timestamp.signed_at = Some(NOW);
    repository.release();
    let (now, outcome) = update(&repository);
    assert!(now == NOW && outcome.is_ok(), "{outcome:?}");

    // Whoever has no key moves no clock.
    let key = repository.signers.insert(TIMESTAMP.to_owned(), vec![key(99)]).unwrap();
    repository.timestamp.signed_at = driven_ahead;
    repository.release();
    let (now, outcome) = update(&repository);
    assert!(now == NOW && matches!(outcome, Err(Error::Threshold { .. })), "{outcome:?}");

    // With a version so high that no honest one comes after it, once its key is another.
    repository.signers.insert(TIMESTAMP.to_owned(), key);
    repository.timestamp.common.version = 1 << 40;
    repository.publish();
    assert_eq!(Some(update(&repository).0), driven_ahead);
    repository.timestamp.signed_at = Some(NOW);
    repository.timestamp.common.version = 10;
    repository.publish();
    assert!(matches!(update(&repository), (NOW, Err(Error::Rollback { .. }))));
    change_online_keys(&mut repository);
    let (now, outcome) = update(&repository);
    assert!(now == NOW && outcome.is_ok(), "{outcome:?}");
}
