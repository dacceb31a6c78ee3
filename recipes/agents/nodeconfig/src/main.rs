//! `nodeconfig`: finds out what configuration needs to know of the node, as
//! far as nobody has to say it, and has the files written that follow.
//!
//! Facts come and go with the network, so it looks again for as long as the
//! node runs. A fact that is not known is not there: templates wait for it.

mod facts;

use std::path::Path;
use std::time::Duration;

use osbuild_api::ask_node;
use osbuild_imds::{DMI, Imds, is_on_ec2};
use osbuild_sys::console::say;
use osbuild_sys::state;
use serde_json::{Map, Value, json};

const WHO: &str = "nodeconfig";
/// In a directory of its own, since it is nobody's but its user's.
const FACTS: &str = "/run/osbuild/nodeconfig/facts.json";
/// While something is missing, and once all is known.
const SOON: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(30);
const APPLYING: Duration = Duration::from_secs(240);
/// Of an answer about the instance.
const MOST_BYTES: usize = 64 << 10;

fn main() {
    let mut cloud = is_on_ec2(Path::new(DMI)).then(|| Imds::amazon(MOST_BYTES));
    let mut told = Value::Null;
    let mut instance = Map::new();
    loop {
        let mut all = facts::local();
        let mut is_complete = all.contains_key("node_ip");
        if let Some(imds) = &mut cloud {
            if instance.is_empty() {
                match facts::instance(imds) {
                    Ok(found) => instance = found,
                    Err(error) => {
                        is_complete = false;
                        say(WHO, 5, &format!("not known yet: {error}"));
                    }
                }
            }
            all.extend(instance.clone());
        }
        let all = Value::Object(all);
        if all != told && apply(&all) {
            told = all;
        }
        std::thread::sleep(if is_complete { LATER } else { SOON });
    }
}

/// Hands facts on; whether that worked.
fn apply(facts: &Value) -> bool {
    if let Err(error) = state::write(FACTS, &format!("{facts}\n")) {
        say(WHO, 3, &error.to_string());
        return false;
    }
    match ask_node("POST", "/v1/apply", Some(&json!({})), APPLYING) {
        Ok((200, _)) => true,
        Ok((status, body)) => {
            say(WHO, 4, &format!("the settings answered {status}: {}", body["error"]["message"]));
            false
        }
        Err(error) => {
            say(WHO, 4, &format!("the settings do not answer: {error}"));
            false
        }
    }
}
