//! Values of every kind at its edges: what a template must be able to write.

use serde_json::{Map, Value, json};

use crate::format::Format;
use crate::kind::Kind;

impl Format {
    /// Texts of this form that are likely to break whoever writes them: short,
    /// long, and with all that is special elsewhere.
    pub fn samples(self) -> Vec<String> {
        let texts: &[&str] = match self {
            Self::Line => {
                &["", "x", r#"a "quoted" \ back`slash` $HOME %i ${x} #; [s] = '{{ y }}' ä"#, "  spaces  "]
            }
            Self::Lines => &["", "one\ntwo\n", "\"\"\"\n'''\n[section]\nkey = value\n+++\n\t\\ $x %i"],
            Self::Name => &["a", "a-1"],
            Self::Hostname => &["a", "node-1.example.com"],
            Self::Host => &["a", "time.example.com", "10.0.0.1", "fd00::1"],
            Self::Ip => &["10.0.0.1", "fe80::1"],
            Self::Ipv4 => &["0.0.0.0", "255.255.255.255"],
            Self::Ipv6 => &["::", "fd00:1234:5678:9abc:def0:1234:5678:9abc"],
            Self::Cidr => &["0.0.0.0/0", "10.1.2.3/32", "fd00::1/64"],
            Self::Mac => &["52:54:00:12:34:56"],
            Self::Interface => &["a", "eth0", "br-lan.4094"],
            Self::Endpoint => &["a:1", "10.0.0.1:65535", "[fd00::1]:443"],
            Self::Url => &["http://a", "https://user.example.com:8443/a/b?c=d&e=%20f#g"],
            Self::NoProxy => &["a", ".example.com", "10.0.0.0/8", "fd00::1"],
            Self::Path => &["/", "/a b/c\"d/$e/%f"],
            Self::Duration => &["0s", "1h30m5s"],
            Self::Quantity => &["0", "0.5", "100Mi"],
            Self::Percent => &["0%", "100%"],
            Self::LabelKey => &["a", "example.com/a_b.C-d"],
            Self::LabelValue => &["", "A.b_c-1"],
            Self::Taint => &[":NoExecute", "gpu.1:PreferNoSchedule"],
            Self::Image => &[
                "a",
                "registry.example:5000/a/b_c:v1.2-3@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            ],
            Self::Base64 => &["", "YWJjZA=="],
            Self::Pem => &["-----BEGIN CERTIFICATE-----\nYWJjZA==\n-----END CERTIFICATE-----\n"],
            Self::SshKey => &[
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/A a \"comment\" with $x",
            ],
            Self::SysctlKey => &["kernel.panic", "net.ipv4.conf.eth0/1.rp_filter"],
            Self::KernelWord => &["quiet", "a.b=c,d$e%f'g\\h"],
        };
        texts.iter().map(|text| (*text).to_owned()).collect()
    }
}

impl Kind {
    /// Values of this kind, each of which it accepts; at least one.
    pub fn samples(&self) -> Vec<Value> {
        match self {
            Self::Bool {} => vec![json!(false), json!(true)],
            Self::Integer { min, max } => vec![json!(min), json!(max)],
            Self::Text { format, max_bytes } => {
                let fitting = format.samples().into_iter().filter(|text| text.len() <= *max_bytes);
                fitting.map(Value::String).collect()
            }
            Self::Choice { of } => of.iter().map(|one| json!(one)).collect(),
            Self::List { of, max_items, unique } => {
                let items = of.samples();
                let mut samples = vec![json!([])];
                samples.extend(items.iter().map(|item| json!([item])));
                samples.push(Value::Array(items.iter().take(*max_items).cloned().collect()));
                if !unique {
                    samples.push(Value::Array(items.iter().cycle().take(*max_items).cloned().collect()));
                }
                samples.retain(|sample| sample.as_array().is_some_and(|items| items.len() <= *max_items));
                samples
            }
            Self::Map { keys, of, max_items } => {
                let names = keys.samples();
                let mut samples = vec![json!({})];
                for (index, entry) in of.samples().into_iter().enumerate() {
                    let name = names[index % names.len()].clone();
                    samples.push(Value::Object(Map::from_iter([(name, entry)])));
                }
                let all = names.into_iter().zip(of.samples().into_iter().cycle()).take(*max_items);
                samples.push(Value::Object(all.collect()));
                samples
                    .retain(|sample| sample.as_object().is_some_and(|entries| entries.len() <= *max_items));
                samples
            }
            Self::Record { fields } => {
                let of = |pick: &dyn Fn(&[Value]) -> Value, all: bool| {
                    let chosen = fields.iter().filter(|(_, field)| all || field.required);
                    Value::Object(
                        chosen.map(|(name, field)| (name.clone(), pick(&field.kind.samples()))).collect(),
                    )
                };
                let mut samples = vec![of(&|all| all[0].clone(), false), of(&|all| all[0].clone(), true)];
                samples.push(of(&|all| all[all.len() - 1].clone(), true));
                samples.dedup();
                samples
            }
            Self::Table { .. } => {
                Self::Any { max_bytes: usize::MAX }.samples().into_iter().filter(Value::is_object).collect()
            }
            Self::Any { .. } => {
                vec![
                    json!({}),
                    json!({ "a": { "b-c": [1, 2.5, true, "x \"y\" \\ $z\nline"] }, "D": null }),
                    json!("text"),
                ]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::all;

    #[test]
    fn samples_are_of_their_kind() {
        let mut kinds: Vec<Kind> =
            all().into_iter().map(|format| Kind::Text { format, max_bytes: 1024 }).collect();
        let texts = kinds.clone();
        for of in texts {
            kinds.push(Kind::List { of: Box::new(of.clone()), max_items: 2, unique: true });
            kinds.push(Kind::List { of: Box::new(of.clone()), max_items: 64, unique: false });
            kinds.push(Kind::Map { keys: Format::LabelKey, of: Box::new(of), max_items: 3 });
        }
        let record = json!({ "kind": "record", "fields": {
            "on": { "type": { "kind": "bool" }, "required": true, "description": "" },
            "image": { "type": { "kind": "text", "format": "image" }, "description": "" },
        }});
        kinds.push(serde_json::from_value(json!({ "kind": "map", "keys": "name", "of": record })).unwrap());
        kinds.push(Kind::Table { max_bytes: 1024 });
        kinds.push(Kind::Any { max_bytes: 1024 });
        kinds.push(Kind::Bool {});
        kinds.push(Kind::Integer { min: -1, max: i64::MAX });
        kinds.push(Kind::Choice { of: vec!["a".to_owned(), "b".to_owned()] });
        for kind in kinds {
            let samples = kind.samples();
            assert!(!samples.is_empty(), "{kind:?}");
            for sample in samples {
                let mut problems = Vec::new();
                kind.check(&sample, "at", false, &mut problems);
                assert_eq!(problems, [], "{kind:?} {sample}");
            }
        }
    }
}
