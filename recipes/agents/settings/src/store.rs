//! The settings' generations: which one counts, and how another comes to.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use osbuild_schema::{Carried, Change, Document, Key, Problem, Schema, carry};
use serde_json::Value;

use crate::files::Files;
use crate::generation::{Cause, Generation, Spoiled, Unconfirmed, Who};

/// How many generations are kept: a few KiB each, on 128 MiB.
const KEPT: u64 = 100;

/// A file that is being written.
const NEW: &str = "new";

/// When, by both of a node's clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970; may be wrong.
    pub at: i64,
    pub uptime_ms: u64,
    pub boot_id: String,
}

/// The settings of a node.
pub struct Store<F> {
    files: F,
    schema: Schema,
    current: Generation,
    /// The highest number that any file has, good or not.
    last: u64,
}

/// What was found when the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Files that are no good generations, newest first; they stay.
    pub spoiled: Vec<(String, Spoiled)>,
    /// There were generations, and none of them is good: the settings are
    /// those of the factory.
    pub lost: bool,
    /// The number of a generation that was not confirmed before the restart.
    pub not_confirmed: Option<u64>,
    /// What this version's schema has no place for any more, and what it has
    /// one for again.
    pub dropped: Vec<Problem>,
    pub returned: Vec<Key>,
}

/// Settings that somebody wants.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub cause: Cause,
    pub who: Who,
    pub message: String,
    pub document: Document,
    /// Digest of the user data that they are from.
    pub user_data: Option<String>,
    /// Go back unless confirmed within so long.
    pub confirm_within: Option<Duration>,
}

/// Why settings stay as they are.
#[derive(Debug)]
pub enum StoreError {
    /// They do not fit the schema: all that is wrong.
    Invalid(Vec<Problem>),
    /// The present ones wait to be confirmed.
    Unconfirmed { number: u64 },
    /// There is nothing to confirm or to go back from.
    NothingUnconfirmed,
    /// No good generation has this number.
    NoGeneration(u64),
    /// PRIVATE cannot be written. If `may_count`, the new generation may be
    /// the one that counts after the next start.
    Io { action: &'static str, may_count: bool, source: io::Error },
}

impl<F: Files> Store<F> {
    /// Reads what there is; makes the first generation where there is none.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(files: F, schema: Schema, now: &Moment) -> Result<(Self, Opened), StoreError> {
        let mut opened = Opened::default();
        let mut numbers = numbers(&files)?;
        let last = numbers.first().copied().unwrap_or(0);
        let mut current = None;
        numbers.retain(|number| *number > 0);
        for number in &numbers {
            match read(&files, *number) {
                Ok(generation) => {
                    current = Some(generation);
                    break;
                }
                Err(spoiled) => opened.spoiled.push((Generation::file_name(*number), spoiled)),
            }
        }
        opened.lost = current.is_none() && !numbers.is_empty();
        let is_new = current.is_none();
        let current = current.unwrap_or_else(|| Generation {
            number: 0,
            cause: Cause::Factory,
            who: Who { name: "settings".to_owned(), uid: 0 },
            message: String::new(),
            at: now.at,
            unconfirmed: None,
            user_data: None,
            document: Document::default(),
            aside: BTreeMap::new(),
        });
        let mut store = Self { files, schema, current, last };
        if is_new {
            let first = store.current.clone();
            store.put(first)?;
        }
        if store.is_overdue(now) {
            opened.not_confirmed = Some(store.current.number);
            store.go_back("the node restarted before it was confirmed", now)?;
        }
        let Carried { document, aside, dropped, returned } =
            carry(&store.schema, &store.current.document, &store.current.aside);
        if document != store.current.document || aside != store.current.aside {
            let next = Generation { document, aside, ..store.next(Cause::Version, now) };
            store.put(next)?;
        }
        (opened.dropped, opened.returned) = (dropped, returned);
        Ok((store, opened))
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    pub fn current(&self) -> &Generation {
        &self.current
    }

    /// With the defaults where nobody said anything.
    pub fn effective(&self) -> Document {
        self.current.document.effective(&self.schema)
    }

    /// Makes settings the present ones. Those that are the same already make
    /// no generation, unless they are to be confirmed.
    ///
    /// # Errors
    /// See [`StoreError`]; the present settings then stay.
    pub fn commit(&mut self, proposal: Proposal, now: &Moment) -> Result<Vec<Change>, StoreError> {
        if self.current.unconfirmed.is_some() {
            return Err(StoreError::Unconfirmed { number: self.current.number });
        }
        let problems = proposal.document.check(&self.schema);
        if !problems.is_empty() {
            return Err(StoreError::Invalid(problems));
        }
        let changes = self.current.document.changes(&proposal.document, &self.schema);
        let user_data = proposal.user_data.or_else(|| self.current.user_data.clone());
        let is_same = proposal.document == self.current.document && user_data == self.current.user_data;
        if is_same && proposal.confirm_within.is_none() {
            return Ok(changes);
        }
        let unconfirmed = proposal.confirm_within.map(|within| Unconfirmed {
            number: self.current.number,
            until_uptime_ms: now
                .uptime_ms
                .saturating_add(u64::try_from(within.as_millis()).unwrap_or(u64::MAX)),
            boot_id: now.boot_id.clone(),
        });
        // What somebody sets now is not to be overruled by what was aside.
        let mut aside = self.current.aside.clone();
        aside.retain(|key, _| proposal.document.get(key).is_none());
        let next = Generation {
            who: proposal.who,
            message: proposal.message,
            document: proposal.document,
            user_data,
            unconfirmed,
            aside,
            ..self.next(proposal.cause, now)
        };
        self.put(next)?;
        Ok(changes)
    }

    /// Keeps settings that would go back by themselves.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn confirm(&mut self, who: Who, now: &Moment) -> Result<(), StoreError> {
        if self.current.unconfirmed.is_none() {
            return Err(StoreError::NothingUnconfirmed);
        }
        let next = Generation { who, ..self.next(Cause::Confirmed, now) };
        self.put(next)
    }

    /// Whether the present settings were not confirmed in time.
    pub fn is_overdue(&self, now: &Moment) -> bool {
        self.current
            .unconfirmed
            .as_ref()
            .is_some_and(|until| until.boot_id != now.boot_id || until.until_uptime_ms <= now.uptime_ms)
    }

    /// From settings that are not confirmed to those before them.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn go_back(&mut self, why: &str, now: &Moment) -> Result<Vec<Change>, StoreError> {
        let Some(unconfirmed) = &self.current.unconfirmed else { return Err(StoreError::NothingUnconfirmed) };
        // If that one is spoiled by now, the newest good one before it.
        let before = numbers(&self.files)?.into_iter().filter(|number| *number <= unconfirmed.number);
        let good =
            before.filter_map(|number| read(&self.files, number).ok()).find(|one| one.unconfirmed.is_none());
        let good = good.ok_or(StoreError::NoGeneration(unconfirmed.number))?;
        self.return_to(&good, Cause::NotConfirmed, None, why, now)
    }

    /// To the settings of an older generation, as far as the schema of this
    /// version takes them.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn undo(
        &mut self,
        to: u64,
        who: Who,
        message: &str,
        now: &Moment,
    ) -> Result<Vec<Change>, StoreError> {
        if self.current.unconfirmed.is_some() {
            return Err(StoreError::Unconfirmed { number: self.current.number });
        }
        let older = read(&self.files, to).map_err(|_| StoreError::NoGeneration(to))?;
        self.return_to(&older, Cause::Undo, Some(who), message, now)
    }

    fn return_to(
        &mut self,
        older: &Generation,
        cause: Cause,
        who: Option<Who>,
        message: &str,
        now: &Moment,
    ) -> Result<Vec<Change>, StoreError> {
        let Carried { document, aside, .. } = carry(&self.schema, &older.document, &older.aside);
        let changes = self.current.document.changes(&document, &self.schema);
        let next = self.next(cause, now);
        let who = who.unwrap_or_else(|| next.who.clone());
        let message = message.to_owned();
        self.put(Generation { document, aside, who, message, ..next })?;
        Ok(changes)
    }

    /// Every good generation, newest first.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn history(&self) -> Result<Vec<Generation>, StoreError> {
        Ok(numbers(&self.files)?.into_iter().filter_map(|number| read(&self.files, number).ok()).collect())
    }

    /// The present one once more, as the next.
    fn next(&self, cause: Cause, now: &Moment) -> Generation {
        Generation {
            cause,
            who: Who { name: "settings".to_owned(), uid: 0 },
            message: String::new(),
            at: now.at,
            unconfirmed: None,
            ..self.current.clone()
        }
    }

    /// Writes a generation and makes it the present one.
    fn put(&mut self, mut generation: Generation) -> Result<(), StoreError> {
        generation.number = self.last + 1;
        let name = Generation::file_name(generation.number);
        let fail = |action, may_count| move |source| StoreError::Io { action, may_count, source };
        self.files.write(NEW, &generation.encode()).map_err(fail("write", false))?;
        self.files.sync(NEW).map_err(fail("sync", false))?;
        // Whatever becomes of it, no other file gets this number.
        self.last = generation.number;
        let placed = self.files.rename(NEW, &name).and_then(|()| self.files.sync_directory());
        if let Err(source) = placed {
            let is_gone = self.files.remove(&name).and_then(|()| self.files.sync_directory()).is_ok();
            return Err(StoreError::Io { action: "place", may_count: !is_gone, source });
        }
        self.current = generation;
        self.prune();
        Ok(())
    }

    /// Old ones are no loss; those that cannot be removed now go next time.
    fn prune(&mut self) {
        let needed = self.current.unconfirmed.as_ref().map_or(self.current.number, |back| back.number);
        let oldest = self.current.number.saturating_sub(KEPT).min(needed);
        for number in numbers(&self.files).unwrap_or_default() {
            if number < oldest {
                let _ = self.files.remove(&Generation::file_name(number));
            }
        }
    }
}

/// Numbers of all files that have one, highest first.
fn numbers(files: &impl Files) -> Result<Vec<u64>, StoreError> {
    let names = files.list().map_err(|source| StoreError::Io { action: "list", may_count: false, source })?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| Generation::number_of(name)).collect();
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    Ok(numbers)
}

fn read(files: &impl Files, number: u64) -> Result<Generation, Spoiled> {
    let bytes =
        files.read(&Generation::file_name(number)).map_err(|error| Spoiled::Foreign(error.to_string()))?;
    let generation = Generation::decode(&bytes)?;
    if generation.number == number { Ok(generation) } else { Err(Spoiled::Torn) }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
            Self::Unconfirmed { number } => {
                write!(f, "generation {number} waits to be confirmed: confirm it or go back first")
            }
            Self::NothingUnconfirmed => f.write_str("nothing waits to be confirmed"),
            Self::NoGeneration(number) => write!(f, "there is no generation {number} any more"),
            Self::Io { action, may_count, source } => {
                write!(f, "cannot {action} the settings on PRIVATE: {source}")?;
                if *may_count {
                    f.write_str("; they may count after the next start")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// For whoever needs all that is set, and what is not shown: the programs that
/// write files of it.
impl Generation {
    pub fn effective(&self, schema: &Schema) -> Value {
        self.document.effective(schema).to_tree()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::files::memory::Memory;

    fn schema(most: i64) -> Schema {
        let file = json!({ "schema": 1, "settings": {
            "a": { "type": { "kind": "integer", "min": 0, "max": most }, "default": 1, "description": "" },
            "b": { "type": { "kind": "text", "format": "line" }, "secret": true, "description": "" },
        }});
        Schema::parse(file.to_string().as_bytes()).unwrap()
    }

    fn moment(uptime_ms: u64) -> Moment {
        Moment { at: 1_800_000_000, uptime_ms, boot_id: "boot-1".to_owned() }
    }

    fn after_restart() -> Moment {
        Moment { boot_id: "boot-2".to_owned(), ..moment(5) }
    }

    fn who() -> Who {
        Who { name: "test".to_owned(), uid: 7 }
    }

    fn proposal(tree: Value, within: Option<u64>) -> Proposal {
        Proposal {
            cause: Cause::Set,
            who: who(),
            message: "why".to_owned(),
            document: Document::from_tree(&schema(100), &tree).unwrap(),
            user_data: None,
            confirm_within: within.map(Duration::from_millis),
        }
    }

    fn open(files: Memory) -> Store<Memory> {
        Store::open(files, schema(100), &moment(0)).unwrap().0
    }

    fn tree(store: &Store<Memory>) -> Value {
        store.current().document.to_tree()
    }

    #[test]
    fn settings_are_there_after_a_restart() {
        let mut store = open(Memory::default());
        assert_eq!((store.current().number, store.current().cause), (1, Cause::Factory));
        assert_eq!(store.effective().to_tree(), json!({ "a": 1 }));
        let changes = store.commit(proposal(json!({ "a": 2, "b": "x" }), None), &moment(0)).unwrap();
        assert_eq!(changes.len(), 2);
        assert_eq!(store.commit(proposal(json!({ "a": 2, "b": "x" }), None), &moment(0)).unwrap(), []);
        let again = open(store.files.clone());
        assert_eq!((again.current(), again.current().number), (store.current(), 2));
        assert_eq!(again.current().who, who());
    }

    #[test]
    fn what_is_wrong_changes_nothing() {
        let mut store = open(Memory::default());
        let mut bent = proposal(json!({}), None);
        bent.document = Document::from_tree(&schema(1000), &json!({ "a": 900 })).unwrap();
        let error = store.commit(bent, &moment(0)).unwrap_err();
        assert_eq!(error.to_string(), "a: expected a whole number from 0 to 100, found 900");
        assert_eq!(store.current().number, 1);
    }

    /// Every moment of a commit, and everything that the disk may have then.
    #[test]
    fn a_power_cut_leaves_the_old_or_the_new() {
        let mut store = open(Memory::default());
        store.commit(proposal(json!({ "a": 2 }), None), &moment(0)).unwrap();
        let (old, new) = (json!({ "a": 2 }), json!({ "a": 3, "b": "secret" }));
        let mut seen = (false, false);
        for steps in 0.. {
            let mut files = store.files.clone();
            files.left = Some(steps);
            let mut cut =
                Store { files, schema: schema(100), current: store.current.clone(), last: store.last };
            let result = cut.commit(proposal(new.clone(), None), &moment(0));
            for disk in cut.files.after_power_cut() {
                let (found, opened) = Store::open(disk, schema(100), &after_restart()).unwrap();
                let is = tree(&found);
                assert!(!opened.lost && opened.spoiled.is_empty(), "{opened:?}");
                assert!(is == new || (is == old && result.is_err()), "{steps}: {is}");
                seen = (seen.0 || is == old, seen.1 || is == new);
            }
            if result.is_ok() {
                assert!(steps > 3);
                break;
            }
        }
        assert_eq!(seen, (true, true));
    }

    #[test]
    fn a_spoiled_generation_is_named_and_the_one_before_counts() {
        let mut store = open(Memory::default());
        store.commit(proposal(json!({ "a": 2 }), None), &moment(0)).unwrap();
        store.commit(proposal(json!({ "a": 3 }), None), &moment(0)).unwrap();
        let good = store.files.read(&Generation::file_name(3)).unwrap();
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() = b' ';
        for bytes in [
            &b""[..],
            b"\xff",
            &good[..good.len() / 2],
            &flipped,
            &store.files.read(&Generation::file_name(2)).unwrap(),
        ] {
            let mut files = store.files.clone();
            files.spoil(&Generation::file_name(3), bytes);
            let (mut found, opened) = Store::open(files, schema(100), &moment(0)).unwrap();
            assert_eq!(tree(&found), json!({ "a": 2 }));
            assert_eq!(opened.spoiled, [(Generation::file_name(3), Spoiled::Torn)]);
            // It is not written over.
            found.commit(proposal(json!({ "a": 4 }), None), &moment(0)).unwrap();
            assert_eq!(found.current().number, 4);
            assert_eq!(found.files.read(&Generation::file_name(3)).unwrap(), bytes);
        }
        let mut files = store.files.clone();
        for number in 1..=3 {
            files.spoil(&Generation::file_name(number), b"");
        }
        let (found, opened) = Store::open(files, schema(100), &moment(0)).unwrap();
        assert!(opened.lost);
        assert_eq!((tree(&found), found.current().number), (json!({}), 4));
    }

    #[test]
    fn what_is_not_confirmed_goes_back() {
        let mut store = open(Memory::default());
        store.commit(proposal(json!({ "a": 2 }), None), &moment(0)).unwrap();
        store.commit(proposal(json!({ "a": 3 }), Some(1000)), &moment(500)).unwrap();
        assert!(matches!(
            store.commit(proposal(json!({ "a": 4 }), None), &moment(600)),
            Err(StoreError::Unconfirmed { number: 3 })
        ));
        assert!(!store.is_overdue(&moment(1499)) && store.is_overdue(&moment(1500)));

        let mut late = open(store.files.clone());
        let changes = late.go_back("nobody confirmed it", &moment(1500)).unwrap();
        assert_eq!(
            (changes.len(), tree(&late), late.current().cause),
            (1, json!({ "a": 2 }), Cause::NotConfirmed)
        );
        assert!(matches!(late.go_back("", &moment(0)), Err(StoreError::NothingUnconfirmed)));

        let (restarted, opened) = Store::open(store.files.clone(), schema(100), &after_restart()).unwrap();
        assert_eq!((tree(&restarted), opened.not_confirmed), (json!({ "a": 2 }), Some(3)));

        store.confirm(who(), &moment(1400)).unwrap();
        assert!(!store.is_overdue(&moment(9999)));
        let (restarted, opened) = Store::open(store.files.clone(), schema(100), &after_restart()).unwrap();
        assert_eq!((tree(&restarted), opened.not_confirmed), (json!({ "a": 3 }), None));
        assert!(matches!(store.confirm(who(), &moment(0)), Err(StoreError::NothingUnconfirmed)));
    }

    #[test]
    fn an_older_generation_can_be_had_back() {
        let mut store = open(Memory::default());
        for value in 2..=4 {
            store.commit(proposal(json!({ "a": value }), None), &moment(0)).unwrap();
        }
        store.undo(2, who(), "it was better", &moment(0)).unwrap();
        assert_eq!((tree(&store), store.current().number), (json!({ "a": 2 }), 5));
        assert!(matches!(store.undo(77, who(), "", &moment(0)), Err(StoreError::NoGeneration(77))));
        let causes: Vec<Cause> = store.history().unwrap().iter().map(|one| one.cause).collect();
        assert_eq!(causes, [Cause::Undo, Cause::Set, Cause::Set, Cause::Set, Cause::Factory]);
    }

    #[test]
    fn a_stay_in_another_version_loses_nothing() {
        let mut store = open(Memory::default());
        store.commit(proposal(json!({ "a": 90, "b": "x" }), None), &moment(0)).unwrap();
        let (other, opened) = Store::open(store.files.clone(), schema(50), &after_restart()).unwrap();
        assert_eq!(tree(&other), json!({ "b": "x" }));
        assert_eq!(opened.dropped[0].to_string(), "a: expected a whole number from 0 to 50, found 90");
        let (back, opened) = Store::open(other.files.clone(), schema(100), &after_restart()).unwrap();
        assert_eq!((tree(&back), opened.returned.len()), (json!({ "a": 90, "b": "x" }), 1));
        assert!(back.current().aside.is_empty());
    }

    #[test]
    fn old_generations_go_but_not_the_one_to_go_back_to() {
        let mut store = open(Memory::default());
        for value in 0..(KEPT + 20) {
            store.commit(proposal(json!({ "a": value % 100 }), None), &moment(0)).unwrap();
        }
        let kept = store.history().unwrap();
        assert_eq!(kept.len() as u64, KEPT + 1);
        assert_eq!(kept[0].number, store.current().number);
    }

    #[test]
    fn a_full_disk_is_an_error_and_the_settings_stay() {
        let mut store = open(Memory::default());
        store.files.left = Some(0);
        let error = store.commit(proposal(json!({ "a": 2 }), None), &moment(0)).unwrap_err();
        assert_eq!(error.to_string(), "cannot write the settings on PRIVATE: the power is gone");
        assert_eq!(tree(&store), json!({}));
        store.files.left = None;
        store.commit(proposal(json!({ "a": 2 }), None), &moment(0)).unwrap();
    }
}
