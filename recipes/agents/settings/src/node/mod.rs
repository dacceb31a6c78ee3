//! What the settings of a running node are, and every question about them:
//! without a socket, without a clock, without starting a program.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use osbuild_schema::{Document, Problem, Schema, TextError, carry, read_toml};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::answer::{Answer, Refusal, Request};
use crate::audit::{self, Audit};
use crate::files::Files;
use crate::generation::{Cause, Generation, Who};
use crate::routes::{Ask, find, open_api};
use crate::secrets::Secrets;
use crate::store::{Moment, Opened, Proposal, Store};

/// Makes settings hold.
pub trait Applier {
    /// Whether every file can be written from them.
    ///
    /// # Errors
    /// What cannot, in lines.
    fn try_out(&mut self, effective: &Document) -> Result<(), Vec<String>>;
    /// Writes the files and tells whom they concern; what it did.
    ///
    /// # Errors
    /// What went wrong, in lines.
    fn apply(&mut self, effective: &Document) -> Result<Value, Vec<String>>;
}

/// The settings of a running node.
pub struct Node<F, A> {
    store: Store<F>,
    audit: Audit<F>,
    applier: A,
    secrets: Arc<Secrets>,
    opened: Opened,
    transactions: BTreeMap<String, Transaction>,
    /// Why the present settings do not hold, in lines.
    not_applied: Vec<String>,
    /// What became of the user data that came last.
    user_data: Option<Value>,
}

#[derive(Clone)]
struct Transaction {
    began_at: u64,
    who: Who,
    /// In the order in which they came: what one unsets another may set.
    patches: Vec<Value>,
}

/// Collected at a time.
const TRANSACTIONS: usize = 32;
/// Patches of one, of at most as many bytes each as a request may have.
const PATCHES: usize = 64;

/// A record, and what changed.
type Granted = Result<(Value, Vec<Value>), Refusal>;

impl<F: Files, A: Applier> Node<F, A> {
    /// Applies what is set. A node whose settings cannot be applied runs on
    /// and says so.
    pub fn start(store: Store<F>, opened: Opened, audit: Audit<F>, mut applier: A) -> Self {
        let secrets = Arc::new(Secrets::default());
        for generation in store.history().unwrap_or_default() {
            secrets.add(&generation.document.secrets(store.schema()));
        }
        let effective = store.effective();
        secrets.add(&effective.secrets(store.schema()));
        let not_applied = applier.apply(&effective).err().unwrap_or_default();
        let transactions = BTreeMap::new();
        Self { store, audit, applier, secrets, opened, transactions, not_applied, user_data: None }
    }

    /// What is to be kept out of what others say of the node.
    pub fn secrets(&self) -> Arc<Secrets> {
        Arc::clone(&self.secrets)
    }

    pub fn store(&self) -> &Store<F> {
        &self.store
    }

    /// What anybody may know of the settings: how they are, and what holds.
    pub fn summary(&self, now: &Moment) -> Value {
        let mut summary = self.status(now);
        // It changes every second, and nothing else with it.
        summary["unconfirmedSecondsLeft"] = Value::Null;
        summary["unconfirmed"] = json!(self.store.current().unconfirmed.is_some());
        summary["settings"] = self.store.effective().redacted(self.store.schema()).to_tree();
        summary
    }

    /// Answers a request, and notes it if it may change anything.
    pub fn answer(&mut self, request: &Request<'_>, now: &Moment) -> Answer {
        let (route, name) = match find(request.method, request.path) {
            Ok(found) => found,
            Err(methods) if methods.is_empty() => {
                return Refusal::new(404, "not-found", format!("there is no {}", request.path)).into();
            }
            Err(methods) => {
                let message = format!("{} knows {}", request.path, methods.join(", "));
                return Refusal::new(405, "method", message).into();
            }
        };
        let granted = route
            .check_query(request.query)
            .and_then(|()| self.grant(route.ask, name.unwrap_or_default(), request, now));
        let mut entry = audit::entry(now, &request.who, format!("{} {}", request.method, request.path));
        let mut answer = match granted {
            Ok((body, changes)) => {
                entry.changes = changes;
                Answer { status: 200, body }
            }
            Err(refusal) => refusal.into(),
        };
        if route.changes {
            (entry.status, entry.generation) = (answer.status, self.store.current().number);
            if let Err(error) = self.audit.add(&entry) {
                answer.body["audit"] = json!(format!("not noted: {error}"));
            }
        }
        answer
    }

    /// Notes what another program was asked for through here, if it changes
    /// anything.
    pub fn note(&mut self, request: &Request<'_>, answer: &mut Answer, now: &Moment) {
        if !find(request.method, request.path).is_ok_and(|(route, _)| route.changes) {
            return;
        }
        let words: Vec<String> =
            request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query = if words.is_empty() { String::new() } else { format!("?{}", words.join("&")) };
        let mut entry =
            audit::entry(now, &request.who, format!("{} {}{query}", request.method, request.path));
        (entry.status, entry.generation) = (answer.status, self.store.current().number);
        if let Err(error) = self.audit.add(&entry) {
            answer.body["audit"] = json!(format!("not noted: {error}"));
        }
    }

    /// Goes back if nobody confirmed in time; whether it did.
    pub fn tick(&mut self, now: &Moment) -> bool {
        if !self.store.is_overdue(now) {
            return false;
        }
        self.give_up("nobody confirmed it in time", now)
    }

    /// Goes back from settings that are not confirmed, as when the node is not
    /// well with them; whether it did.
    pub fn give_up(&mut self, why: &str, now: &Moment) -> bool {
        let who = Who { name: "settings".to_owned(), uid: 0 };
        let mut entry = audit::entry(now, &who, why.to_owned());
        let went_back = match self.store.go_back(why, now) {
            Ok(changes) => {
                entry.changes = audit::told(&changes);
                self.apply();
                true
            }
            Err(_) => false,
        };
        entry.status = if went_back { 200 } else { 500 };
        entry.generation = self.store.current().number;
        // It went back or not, noted or not.
        let _ = self.audit.add(&entry);
        went_back
    }

    fn grant(&mut self, ask: Ask, name: &str, request: &Request<'_>, now: &Moment) -> Granted {
        let query = |key: &str| request.query.get(key).map(String::as_str);
        let message = query("message").unwrap_or_default();
        match ask {
            Ask::Schema => {
                let schema =
                    serde_json::from_slice(&self.store.schema().to_json()).expect("it was just written");
                Ok((schema, Vec::new()))
            }
            Ask::OpenApi => Ok((open_api(&self.store.schema().to_json_schema()), Vec::new())),
            Ask::Settings => self.settings(query("view"), query("within")),
            Ask::Patch => {
                let patch = self.patch(request.body)?;
                let confirm = confirm_within(query("confirm"))?;
                self.change(&[patch], request, message, confirm, now)
            }
            Ask::Unset => {
                let way = query("within").unwrap_or_default();
                if way.is_empty() {
                    return Err(Refusal::new(400, "query", "say what: ?within=KEY"));
                }
                let patch = way.rsplit('.').fold(Value::Null, |below, part| json!({ part: below }));
                let confirm = confirm_within(query("confirm"))?;
                self.change(&[patch], request, message, confirm, now)
            }
            Ask::Transactions => {
                let of = |(name, one): (&String, &Transaction)| json!({ "name": name, "who": one.who, "beganAt": one.began_at });
                let all: Vec<Value> = self.transactions.iter().map(of).collect();
                Ok((json!({ "schema": 1, "transactions": all }), Vec::new()))
            }
            Ask::Transaction => {
                let transaction = self.transaction(name)?;
                let document = self.merged(&transaction.patches)?;
                let changes = self.store.current().document.changes(&document, self.store.schema());
                Ok((json!({ "schema": 1, "name": name, "changes": audit::told(&changes) }), Vec::new()))
            }
            Ask::PatchTransaction => self.add_to_transaction(name, request),
            Ask::DropTransaction => {
                self.transaction(name)?;
                self.transactions.remove(name);
                Ok((json!({ "schema": 1 }), Vec::new()))
            }
            Ask::Commit => {
                let Transaction { began_at, patches, .. } = self.transaction(name)?.clone();
                self.check_conflict(began_at, &patches)?;
                let confirm = confirm_within(query("confirm"))?;
                let granted = self.change(&patches, request, message, confirm, now)?;
                self.transactions.remove(name);
                Ok(granted)
            }
            Ask::Confirm => {
                self.store.confirm(request.who.clone(), now)?;
                Ok((self.present(), Vec::new()))
            }
            Ask::GoBack => {
                let changes = audit::told(&self.store.go_back("asked for", now)?);
                Ok((self.applied(&changes), changes))
            }
            Ask::Undo => {
                let to = match query("to") {
                    Some(text) => {
                        text.parse().map_err(|_| Refusal::new(400, "query", "to: expected a number"))?
                    }
                    None => self.before()?,
                };
                let changes = audit::told(&self.store.undo(to, request.who.clone(), message, now)?);
                Ok((self.applied(&changes), changes))
            }
            Ask::History => self.history(),
            Ask::Audit => {
                let most = query("most").unwrap_or("100");
                let most = most.parse().map_err(|_| Refusal::new(400, "query", "most: expected a number"))?;
                let entries = self.audit.newest(most);
                let entries = entries.map_err(|error| Refusal::new(500, "storage", error.to_string()))?;
                Ok((json!({ "schema": 1, "entries": entries }), Vec::new()))
            }
            Ask::UserData => {
                let source = query("source").unwrap_or("somebody");
                let granted = self.take_user_data(request, source, now);
                let (state, problem) = match &granted {
                    Ok(_) => ("taken", None),
                    Err(refusal) => ("refused", Some(refusal.message.clone())),
                };
                self.user_data = Some(json!({ "source": source, "state": state, "problem": problem }));
                granted
            }
            Ask::Apply => Ok((self.applied(&[]), Vec::new())),
            Ask::Check => self.check(request.body),
            Ask::Status => Ok((self.status(now), Vec::new())),
            // Whoever serves this asks the one that looks, before it waits for
            // the settings.
            Ask::Services
            | Ask::Logs
            | Ask::Boot
            | Ask::Slots
            | Ask::Report
            | Ask::Update
            | Ask::UpdateCheck
            | Ask::UpdateInstall
            | Ask::UpdateCancel
            | Ask::UpdateRollBack
            | Ask::UpdateLiftHold
            | Ask::UpdateArchivePut
            | Ask::UpdateArchiveImport
            | Ask::UpdateArchiveForget
            | Ask::UpdateRestart
            | Ask::UpdateScrub => {
                Err(Refusal::new(503, "inspect", "the settings know nothing of the running system"))
            }
        }
    }

    fn settings(&self, view: Option<&str>, within: Option<&str>) -> Granted {
        let document = match view {
            None | Some("effective") => self.store.effective(),
            Some("set") => self.store.current().document.clone(),
            Some(_) => return Err(Refusal::new(400, "query", "view: expected effective or set")),
        };
        let schema = self.store.schema();
        let way = within.unwrap_or_default();
        if !way.is_empty() && !schema.iter().any(|(key, _)| key.is_within(way)) {
            let mut problems = Vec::new();
            problems.extend(Document::from_tree(schema, &json!({ way: null })).err().map(|error| error.0));
            let message =
                problems.concat().first().map_or_else(|| format!("there is no {way}"), ToString::to_string);
            return Err(Refusal::new(404, "not-found", message));
        }
        let tree = document.redacted(schema).within(way).to_tree();
        Ok((json!({ "schema": 1, "generation": self.store.current().number, "settings": tree }), Vec::new()))
    }

    fn patch(&self, body: &[u8]) -> Result<Value, Refusal> {
        let patch: Value = serde_json::from_slice(body)
            .map_err(|error| Refusal::new(400, "body", format!("the body is no JSON: {error}")))?;
        if patch.is_object() {
            Ok(patch)
        } else {
            Err(Refusal::new(400, "body", "the body is no table of settings"))
        }
    }

    /// The present settings after these patches.
    fn merged(&self, patches: &[Value]) -> Result<Document, Refusal> {
        let mut document = self.store.current().document.clone();
        for patch in patches {
            document.merge(self.store.schema(), patch).map_err(|error| Refusal::from(error.0))?;
        }
        Ok(document)
    }

    /// Sets what user data says. A text that was taken before is not taken
    /// again: what was set since by hand stays.
    fn take_user_data(&mut self, request: &Request<'_>, source: &str, now: &Moment) -> Granted {
        let text = std::str::from_utf8(request.body)
            .map_err(|_| Refusal::new(422, "invalid", "user data is no text (UTF-8)"))?;
        let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        if self.store.current().user_data.as_ref() == Some(&digest) {
            return Ok((self.present(), Vec::new()));
        }
        let said = read_toml(self.store.schema(), text).map_err(|error| match error {
            TextError::Problems(problems) => Refusal::from(problems),
            error @ TextError::Syntax { .. } => Refusal::new(422, "invalid", error.to_string()),
        })?;
        let document = self.merged(&[said.to_tree()])?;
        let effective = document.effective(self.store.schema());
        self.applier.try_out(&effective).map_err(|lines| Refusal::new(422, "render", lines.join("\n")))?;
        let proposal = Proposal {
            cause: Cause::UserData,
            who: request.who.clone(),
            message: format!("user data from {source}"),
            document,
            user_data: Some(digest),
            confirm_within: None,
        };
        let changes = audit::told(&self.store.commit(proposal, now)?);
        Ok((self.applied(&changes), changes))
    }

    /// From patches to settings that hold, or to none of it.
    fn change(
        &mut self,
        patches: &[Value],
        request: &Request<'_>,
        message: &str,
        confirm_within: Option<Duration>,
        now: &Moment,
    ) -> Granted {
        let document = self.merged(patches)?;
        let effective = document.effective(self.store.schema());
        self.applier.try_out(&effective).map_err(|lines| Refusal::new(422, "render", lines.join("\n")))?;
        let proposal = Proposal {
            cause: Cause::Set,
            who: request.who.clone(),
            message: message.to_owned(),
            document,
            user_data: None,
            confirm_within,
        };
        let changes = audit::told(&self.store.commit(proposal, now)?);
        let record = self.applied(&changes);
        // Settings on trial that do not hold are not waited for.
        if confirm_within.is_some() && !self.not_applied.is_empty() {
            let lines = self.not_applied.join("\n");
            self.store.go_back(&lines, now)?;
            self.apply();
            return Err(Refusal::new(422, "apply", format!("went back: {lines}")));
        }
        Ok((record, changes))
    }

    /// Makes the present settings hold; what was done.
    fn apply(&mut self) -> Value {
        let effective = self.store.effective();
        // Before anybody is told them.
        self.secrets.add(&effective.secrets(self.store.schema()));
        match self.applier.apply(&effective) {
            Ok(done) => {
                self.not_applied.clear();
                done
            }
            Err(lines) => {
                let record = json!({ "failures": lines });
                self.not_applied = lines;
                record
            }
        }
    }

    /// Makes the present settings hold, and tells it with what changed.
    fn applied(&mut self, changes: &[Value]) -> Value {
        let applied = self.apply();
        let mut record = self.present();
        record["changes"] = json!(changes);
        record["applied"] = applied;
        record
    }

    fn present(&self) -> Value {
        let current = self.store.current();
        json!({ "schema": 1, "generation": current.number, "unconfirmed": current.unconfirmed })
    }

    fn transaction(&self, name: &str) -> Result<&Transaction, Refusal> {
        let lacks = || Refusal::new(404, "not-found", format!("there is no transaction '{name}'"));
        self.transactions.get(name).ok_or_else(lacks)
    }

    fn add_to_transaction(&mut self, name: &str, request: &Request<'_>) -> Granted {
        let is_name = name.len() <= 63
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_name {
            return Err(Refusal::new(
                400,
                "path",
                "a transaction's name has at most 63 letters, digits, - and _",
            ));
        }
        let patch = self.patch(request.body)?;
        let mut transaction = match self.transactions.get(name) {
            Some(one) => one.clone(),
            None if self.transactions.len() >= TRANSACTIONS => {
                let message = format!("{TRANSACTIONS} transactions are open: commit or drop some");
                return Err(Refusal::new(409, "conflict", message));
            }
            None => Transaction {
                began_at: self.store.current().number,
                who: request.who.clone(),
                patches: Vec::new(),
            },
        };
        if transaction.patches.len() >= PATCHES {
            let message = format!("the transaction has {PATCHES} patches: commit it first");
            return Err(Refusal::new(409, "conflict", message));
        }
        transaction.patches.push(patch);
        // What is wrong is said now and not at the end.
        let document = self.merged(&transaction.patches)?;
        let changes = self.store.current().document.changes(&document, self.store.schema());
        self.transactions.insert(name.to_owned(), transaction);
        Ok((json!({ "schema": 1, "name": name, "changes": audit::told(&changes) }), Vec::new()))
    }

    /// Whether somebody else changed a setting that a transaction changes,
    /// since it began.
    fn check_conflict(&self, began_at: u64, patches: &[Value]) -> Result<(), Refusal> {
        let current = self.store.current();
        if began_at == current.number {
            return Ok(());
        }
        let history = self.store.history()?;
        let Some(then) = history.iter().find(|one| one.number == began_at) else {
            return Err(Refusal::new(
                409,
                "conflict",
                "it began too long ago: what changed since is not known",
            ));
        };
        let schema = self.store.schema();
        let since = then.document.changes(&current.document, schema);
        let wanted = self.merged(patches)?;
        let mine = current.document.changes(&wanted, schema);
        let both = since.iter().find(|change| mine.iter().any(|own| own.key == change.key));
        match both {
            None => Ok(()),
            Some(change) => {
                let message =
                    format!("{} was changed since the transaction began: look at it again", change.key);
                Err(Refusal::new(409, "conflict", message))
            }
        }
    }

    /// The newest generation with other settings than the present ones, of
    /// those that were to stay.
    fn before(&self) -> Result<u64, Refusal> {
        let history = self.store.history()?;
        let present = &self.store.current().document;
        let other = history.iter().find(|one| one.document != *present && one.unconfirmed.is_none());
        other
            .map(|one| one.number)
            .ok_or_else(|| Refusal::new(404, "not-found", "there is nothing to go back to"))
    }

    fn history(&self) -> Granted {
        let history = self.store.history()?;
        let schema = self.store.schema();
        let nothing = Document::default();
        let told = |(index, one): (usize, &Generation)| {
            let before = history.get(index + 1).map_or(&nothing, |before| &before.document);
            json!({
                "number": one.number, "cause": one.cause, "who": one.who, "message": one.message, "at": one.at,
                "unconfirmed": one.unconfirmed,
                "changes": audit::told(&before.changes(&one.document, schema)),
            })
        };
        let generations: Vec<Value> = history.iter().enumerate().map(told).collect();
        Ok((json!({ "schema": 1, "generations": generations }), Vec::new()))
    }

    fn check(&self, body: &[u8]) -> Granted {
        let other = Schema::parse(body).map_err(|error| Refusal::new(400, "body", error.to_string()))?;
        let current = self.store.current();
        let carried = carry(&other, &current.document, &current.aside);
        let dropped: Vec<String> = carried.dropped.iter().map(ToString::to_string).collect();
        Ok((json!({ "schema": 1, "dropped": dropped, "returned": carried.returned }), Vec::new()))
    }

    fn status(&self, now: &Moment) -> Value {
        let current = self.store.current();
        let left = current
            .unconfirmed
            .as_ref()
            .map(|until| until.until_uptime_ms.saturating_sub(now.uptime_ms) / 1000);
        let lines = |problems: &[Problem]| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({
            "schema": 1,
            "generation": current.number,
            "unconfirmedSecondsLeft": left,
            "notApplied": self.not_applied,
            "lost": self.opened.lost,
            "spoiled": self.opened.spoiled.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "notConfirmedBeforeRestart": self.opened.not_confirmed,
            "dropped": lines(&self.opened.dropped),
            "aside": current.aside.keys().collect::<Vec<_>>(),
            "userData": self.user_data,
        })
    }
}

fn confirm_within(text: Option<&str>) -> Result<Option<Duration>, Refusal> {
    /// Longer, and it is forgotten.
    const MOST: u64 = 24 * 3600;
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(seconds @ 1..=MOST) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(Refusal::new(400, "query", format!("confirm: expected seconds from 1 to {MOST}"))),
    }
}

#[cfg(test)]
mod tests;
