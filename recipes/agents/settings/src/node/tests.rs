use serde_json::{Value, json};

use super::*;

use crate::files::memory::Memory;

const SECRET: &str = "SECRET-VALUE";

fn schema() -> Schema {
    let file = json!({ "schema": 1, "settings": {
        "network.hostname": { "type": { "kind": "text", "format": "hostname" }, "default": "localhost", "description": "" },
        "network.mtu": { "type": { "kind": "integer", "min": 576, "max": 9216 }, "description": "" },
        "token": { "type": { "kind": "text", "format": "line" }, "secret": true, "description": "" },
        "labels": {
            "type": { "kind": "map", "keys": "label-key", "of": { "kind": "text", "format": "label-value" } },
            "default": {}, "description": ""
        },
    }});
    Schema::parse(file.to_string().as_bytes()).unwrap()
}

/// Fails as it is told by host names, and notes what it applied.
#[derive(Default)]
struct Fake {
    applied: Vec<Value>,
}

impl Applier for Fake {
    fn try_out(&mut self, effective: &Document) -> Result<(), Vec<String>> {
        let tree = effective.to_tree();
        if tree["network"]["hostname"] == "unwritable" { Err(vec!["t:7: no".to_owned()]) } else { Ok(()) }
    }

    fn apply(&mut self, effective: &Document) -> Result<Value, Vec<String>> {
        let tree = effective.to_tree();
        self.applied.push(tree.clone());
        if tree["network"]["hostname"] == "broken" {
            return Err(vec!["a.service did not start".to_owned()]);
        }
        Ok(json!({ "written": ["hostname"] }))
    }
}

struct Fixture {
    node: Node<Memory, Fake>,
    now: Moment,
}

impl Fixture {
    fn new() -> Self {
        let now = Moment { at: 1_800_000_000, uptime_ms: 1000, boot_id: "boot".to_owned() };
        let (store, opened) = Store::open(Memory::default(), schema(), &now).unwrap();
        let audit = Audit::open(Memory::default()).unwrap();
        Self { node: Node::start(store, opened, audit, Fake::default()), now }
    }

    fn ask(&mut self, method: &str, address: &str, body: Value) -> Answer {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let query: BTreeMap<String, String> =
            query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let who = Who { name: "test".to_owned(), uid: 7 };
        let request = Request { method, path, query: &query, body: &body, who };
        self.node.answer(&request, &self.now)
    }

    fn good(&mut self, method: &str, address: &str, body: Value) -> Value {
        let answer = self.ask(method, address, body);
        assert_eq!(answer.status, 200, "{method} {address}: {}", answer.body);
        answer.body
    }

    fn bad(&mut self, method: &str, address: &str, body: Value) -> (u16, String) {
        let answer = self.ask(method, address, body);
        let message = answer.body["error"]["message"].as_str().unwrap_or_else(|| panic!("{}", answer.body));
        (answer.status, message.to_owned())
    }

    fn set(&mut self) -> Value {
        self.good("GET", "/v1/settings?view=set", json!(null))["settings"].clone()
    }

    fn applied(&self) -> usize {
        self.node.applier.applied.len()
    }
}

#[test]
fn a_patch_is_made_and_applied_at_once() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.applied(), 1, "what is set holds from the start");
    let done = fixture.good(
        "PATCH",
        "/v1/settings?message=why",
        json!({ "network": { "mtu": 1400 }, "labels": { "a": "b" } }),
    );
    assert_eq!((&done["generation"], done["changes"].as_array().unwrap().len()), (&json!(2), 2));
    assert_eq!(done["applied"], json!({ "written": ["hostname"] }));
    assert_eq!(fixture.applied(), 2);
    assert_eq!(fixture.set(), json!({ "network": { "mtu": 1400 }, "labels": { "a": "b" } }));
    let all = fixture.good("GET", "/v1/settings", json!(null));
    assert_eq!(all["settings"]["network"], json!({ "hostname": "localhost", "mtu": 1400 }));
    let part = fixture.good("GET", "/v1/settings?within=network.mtu", json!(null));
    assert_eq!(part["settings"], json!({ "network": { "mtu": 1400 } }));
    fixture.good("DELETE", "/v1/settings?within=network.mtu", json!(null));
    assert_eq!(fixture.set(), json!({ "labels": { "a": "b" } }));
}

#[test]
fn what_is_wrong_is_all_said_and_nothing_changes() {
    let mut fixture = Fixture::new();
    let answer = fixture.ask(
        "PATCH",
        "/v1/settings",
        json!({ "network": { "mtu": 1, "hostnam": "x" }, "token": "fine" }),
    );
    assert_eq!(answer.status, 422);
    assert_eq!(
        answer.body["error"]["problems"],
        json!([
            { "at": "network.hostnam", "message": "no such setting; did you mean network.hostname?" },
            { "at": "network.mtu", "message": "expected a whole number from 576 to 9216, found 1" },
        ])
    );
    for (method, address, body, status, message) in [
        ("PATCH", "/v1/settings", json!([]), 400, "the body is no table of settings"),
        ("PATCH", "/v1/settings", json!({ "network": { "hostname": "unwritable" } }), 422, "t:7: no"),
        ("PATCH", "/v1/settings?confirm=0", json!({}), 400, "confirm: expected seconds from 1 to 86400"),
        ("PATCH", "/v1/settings?mesage=x", json!({}), 400, "/v1/settings has no 'mesage'"),
        ("DELETE", "/v1/settings", json!(null), 400, "say what: ?within=KEY"),
        (
            "DELETE",
            "/v1/settings?within=netwrk",
            json!(null),
            422,
            "netwrk: no such setting; did you mean network?",
        ),
        ("GET", "/v1/settings?view=all", json!(null), 400, "view: expected effective or set"),
        (
            "GET",
            "/v1/settings?within=netwrk",
            json!(null),
            404,
            "netwrk: no such setting; did you mean network?",
        ),
        ("PUT", "/v1/settings", json!({}), 405, "/v1/settings knows GET, PATCH, DELETE"),
        ("GET", "/v2", json!(null), 404, "there is no /v2"),
        ("POST", "/v1/confirm", json!(null), 409, "nothing waits to be confirmed"),
        ("POST", "/v1/undo", json!(null), 404, "there is nothing to go back to"),
        ("POST", "/v1/undo?to=9", json!(null), 404, "there is no generation 9 any more"),
        ("POST", "/v1/transactions/x/commit", json!(null), 404, "there is no transaction 'x'"),
    ] {
        assert_eq!(fixture.bad(method, address, body), (status, message.to_owned()), "{method} {address}");
    }
    assert_eq!(fixture.bad("PATCH", "/v1/settings", json!(null)).0, 400);
    assert_eq!((fixture.set(), fixture.applied()), (json!({}), 1));
}

#[test]
fn a_transaction_is_made_as_a_whole() {
    let mut fixture = Fixture::new();
    fixture.good("PATCH", "/v1/transactions/t", json!({ "labels": { "a": "1" } }));
    // Unset, then set anew: not the same as merging both.
    fixture.good("PATCH", "/v1/transactions/t", json!({ "labels": null }));
    let pending = fixture.good(
        "PATCH",
        "/v1/transactions/t",
        json!({ "labels": { "b": "2" }, "network": { "mtu": 1400 } }),
    );
    assert_eq!(pending["changes"].as_array().unwrap().len(), 2);
    assert_eq!(fixture.bad("PATCH", "/v1/transactions/t", json!({ "network": { "mtu": 1 } })).0, 422);
    assert_eq!(fixture.set(), json!({}));
    assert_eq!(fixture.good("GET", "/v1/transactions", json!(null))["transactions"][0]["name"], "t");
    assert_eq!(fixture.good("GET", "/v1/transactions/t", json!(null))["changes"], pending["changes"]);
    fixture.good("POST", "/v1/transactions/t/commit", json!(null));
    assert_eq!(fixture.set(), json!({ "labels": { "b": "2" }, "network": { "mtu": 1400 } }));
    assert_eq!(fixture.bad("GET", "/v1/transactions/t", json!(null)).0, 404);
    fixture.good("PATCH", "/v1/transactions/u", json!({ "labels": null }));
    fixture.good("DELETE", "/v1/transactions/u", json!(null));
    assert_eq!(fixture.bad("PATCH", "/v1/transactions/a%20b", json!({})).0, 400);
}

#[test]
fn two_who_change_the_same_are_told() {
    let mut fixture = Fixture::new();
    fixture.good("PATCH", "/v1/transactions/t", json!({ "network": { "mtu": 1400 } }));
    fixture.good("PATCH", "/v1/settings", json!({ "network": { "hostname": "a" } }));
    fixture.good("PATCH", "/v1/transactions/u", json!({ "network": { "hostname": "b" } }));
    fixture.good("POST", "/v1/transactions/t/commit", json!(null));
    fixture.good("PATCH", "/v1/settings", json!({ "network": { "hostname": "c" } }));
    let (status, message) = fixture.bad("POST", "/v1/transactions/u/commit", json!(null));
    assert_eq!(
        (status, message.as_str()),
        (409, "network.hostname was changed since the transaction began: look at it again")
    );
    assert_eq!(fixture.set(), json!({ "network": { "mtu": 1400, "hostname": "c" } }));
}

#[test]
fn settings_on_trial_go_back_unless_somebody_confirms() {
    let mut fixture = Fixture::new();
    let done = fixture.good("PATCH", "/v1/settings?confirm=60", json!({ "network": { "mtu": 1400 } }));
    assert_eq!(done["unconfirmed"]["number"], 1);
    assert_eq!(fixture.bad("PATCH", "/v1/settings", json!({ "network": { "mtu": 1300 } })).0, 409);
    fixture.now.uptime_ms += 59_000;
    assert_eq!(fixture.good("GET", "/v1/status", json!(null))["unconfirmedSecondsLeft"], 1);
    assert!(!fixture.node.tick(&fixture.now));
    fixture.now.uptime_ms += 1000;
    assert!(fixture.node.tick(&fixture.now));
    assert_eq!((fixture.set(), fixture.applied()), (json!({}), 3));
    let told = fixture.good("GET", "/v1/history", json!(null))["generations"][0].clone();
    assert_eq!(
        (&told["cause"], &told["message"]),
        (&json!("not-confirmed"), &json!("nobody confirmed it in time"))
    );

    fixture.good("PATCH", "/v1/settings?confirm=60", json!({ "network": { "mtu": 1400 } }));
    fixture.good("POST", "/v1/confirm", json!(null));
    fixture.now.uptime_ms += 999_000;
    assert!(!fixture.node.tick(&fixture.now));
    assert_eq!(fixture.set(), json!({ "network": { "mtu": 1400 } }));

    fixture.good("PATCH", "/v1/settings?confirm=60", json!({ "network": { "mtu": 1300 } }));
    fixture.good("POST", "/v1/go-back", json!(null));
    assert_eq!(fixture.set(), json!({ "network": { "mtu": 1400 } }));
    fixture.good("PATCH", "/v1/settings?confirm=60", json!({ "network": { "mtu": 1300 } }));
    assert!(fixture.node.give_up("containerd is down", &fixture.now));
    assert_eq!(fixture.set(), json!({ "network": { "mtu": 1400 } }));
}

#[test]
fn what_does_not_hold_is_said_and_on_trial_goes_back_at_once() {
    let mut fixture = Fixture::new();
    let (status, message) =
        fixture.bad("PATCH", "/v1/settings?confirm=60", json!({ "network": { "hostname": "broken" } }));
    assert_eq!((status, message.as_str()), (422, "went back: a.service did not start"));
    assert_eq!(fixture.set(), json!({}));
    let applied = &fixture.node.applier.applied;
    assert_eq!(applied[applied.len() - 1]["network"]["hostname"], "localhost");

    let done = fixture.good("PATCH", "/v1/settings", json!({ "network": { "hostname": "broken" } }));
    assert_eq!(done["applied"], json!({ "failures": ["a.service did not start"] }));
    let status = fixture.good("GET", "/v1/status", json!(null));
    assert_eq!(status["notApplied"], json!(["a.service did not start"]));
    fixture.good("POST", "/v1/undo", json!(null));
    assert_eq!(
        (fixture.set(), fixture.good("GET", "/v1/status", json!(null))["notApplied"].clone()),
        (json!({}), json!([]))
    );
}

#[test]
fn a_secret_is_in_no_answer_and_no_log() {
    let mut fixture = Fixture::new();
    let mut said = String::new();
    for (method, address, body) in [
        ("PATCH", "/v1/transactions/t", json!({ "token": SECRET })),
        ("GET", "/v1/transactions/t", json!(null)),
        ("GET", "/v1/transactions", json!(null)),
        ("POST", "/v1/transactions/t/commit", json!(null)),
        ("GET", "/v1/settings", json!(null)),
        ("GET", "/v1/settings?view=set", json!(null)),
        ("PATCH", "/v1/settings", json!({ "token": format!("{SECRET}\n") })),
        ("PATCH", "/v1/settings", json!({ "token": { SECRET: SECRET } })),
        ("DELETE", "/v1/settings?within=token", json!(null)),
        ("POST", "/v1/undo", json!(null)),
        ("POST", "/v1/check", json!({ "schema": 1, "settings": {} })),
        ("GET", "/v1/history", json!(null)),
        ("GET", "/v1/audit", json!(null)),
        ("GET", "/v1/status", json!(null)),
        ("GET", "/v1/openapi.json", json!(null)),
        ("GET", "/v1/schema", json!(null)),
    ] {
        said.push_str(&fixture.ask(method, address, body).body.to_string());
    }
    assert!(!said.contains(SECRET), "{said}");
    assert_eq!(fixture.node.applier.applied.last().unwrap()["token"], SECRET, "whoever needs it has it");
}

#[test]
fn a_secret_is_kept_out_of_what_others_say_even_once_it_is_another() {
    let mut fixture = Fixture::new();
    let hidden = |fixture: &Fixture| {
        let mut record = json!({ "message": format!("token {SECRET} refused") });
        fixture.node.secrets().hide(&mut record);
        record["message"] == "token (secret) refused"
    };
    assert!(!hidden(&fixture));
    fixture.good("PATCH", "/v1/settings", json!({ "token": SECRET }));
    assert!(hidden(&fixture));
    fixture.good("PATCH", "/v1/settings", json!({ "token": "another" }));
    assert!(hidden(&fixture));
}

#[test]
fn questions_about_the_running_system_are_not_the_settings() {
    let (status, message) = Fixture::new().bad("GET", "/v1/node/boot", json!(null));
    assert_eq!((status, message.as_str()), (503, "the settings know nothing of the running system"));
}

impl Fixture {
    fn user_data(&mut self, text: &str) -> Answer {
        let query = BTreeMap::from([("source".to_owned(), "imds".to_owned())]);
        let who = Who { name: "firstboot".to_owned(), uid: 0 };
        let request =
            Request { method: "POST", path: "/v1/user-data", query: &query, body: text.as_bytes(), who };
        self.node.answer(&request, &self.now)
    }
}

#[test]
fn user_data_is_taken_once_and_a_wrong_one_not_at_all() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.user_data("[network]\nmtu = 1400\n").status, 200);
    fixture.good("PATCH", "/v1/settings", json!({ "network": { "mtu": 1300 } }));
    assert_eq!(fixture.user_data("[network]\nmtu = 1400\n").status, 200);
    assert_eq!(fixture.set(), json!({ "network": { "mtu": 1300 } }), "the same text again changes nothing");

    let answer = fixture.user_data("[network]\nmtu = 1\nhostnam = \"a\"\n");
    assert_eq!(answer.status, 422);
    let problem = "line 2: network.mtu: expected a whole number from 576 to 9216, found 1\n\
                   line 3: network.hostnam: no such setting; did you mean network.hostname?";
    assert_eq!(answer.body["error"]["message"], problem);
    assert_eq!(fixture.set(), json!({ "network": { "mtu": 1300 } }), "the last good settings stay");
    let status = fixture.good("GET", "/v1/status", json!(null));
    assert_eq!(status["userData"], json!({ "source": "imds", "state": "refused", "problem": problem }));

    assert_eq!(fixture.user_data("token = \"x\"\n").status, 200);
    assert_eq!(fixture.set()["network"], json!({ "mtu": 1300 }), "what it does not say stays");
    assert_eq!(fixture.user_data("token = ").body["error"]["message"], "line 1: no TOML: unexpected end");
    let cause = &fixture.good("GET", "/v1/history", json!(null))["generations"][0];
    assert_eq!((&cause["cause"], &cause["message"]), (&json!("user-data"), &json!("user data from imds")));
}

#[test]
fn who_asked_for_what_is_noted() {
    let mut fixture = Fixture::new();
    fixture.good("GET", "/v1/settings", json!(null));
    fixture.good("PATCH", "/v1/settings", json!({ "network": { "mtu": 1400 } }));
    fixture.bad("PATCH", "/v1/settings", json!({ "network": { "mtu": 1 } }));
    let entries = fixture.good("GET", "/v1/audit?most=9", json!(null))["entries"].clone();
    let told: Vec<(&Value, &Value, &Value)> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["asked"], &one["status"], &one["who"]["uid"]))
        .collect();
    let asked = json!("PATCH /v1/settings");
    assert_eq!(told, [(&asked, &json!(422), &json!(7)), (&asked, &json!(200), &json!(7))]);
    assert_eq!(
        entries[1]["changes"],
        json!([{ "key": "network.mtu", "at": "network.mtu", "was": null, "is": 1400 }])
    );
}

#[test]
fn another_versions_schema_is_tried_without_being_taken() {
    let mut fixture = Fixture::new();
    fixture.good("PATCH", "/v1/settings", json!({ "network": { "mtu": 9000 }, "labels": { "a": "b" } }));
    let other = json!({ "schema": 1, "settings": {
        "network.mtu": { "type": { "kind": "integer", "min": 576, "max": 1500 }, "description": "" },
    }});
    let found = fixture.good("POST", "/v1/check", other);
    assert_eq!(
        found["dropped"],
        json!([
            "labels: no such setting",
            "network.mtu: expected a whole number from 576 to 1500, found 9000"
        ])
    );
    assert_eq!(
        fixture.bad("POST", "/v1/check", json!({ "schema": 9 })).1,
        "the schema of settings has form 9, this program knows 1"
    );
    assert_eq!(fixture.set(), json!({ "network": { "mtu": 9000 }, "labels": { "a": "b" } }));
}
