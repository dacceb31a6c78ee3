//! Kubelet, on nodes that have one: by the file that it was started with, and
//! by its command line, which would count for more.

use std::path::PathBuf;

use serde_json::Value;

use super::{Check, Finding, Node};

pub const CHECKS: &[Check] = &[
    Check {
        id: "kubelet.no-anonymous",
        title: "Kubelet answers nobody who does not say who they are",
        references: &["CIS Kubernetes 4.2.1"],
        look: |node| node.with_kubelet(no_anonymous),
    },
    Check {
        id: "kubelet.authorization",
        title: "Kubelet asks the cluster what somebody may do",
        references: &["CIS Kubernetes 4.2.2"],
        look: |node| node.with_kubelet(authorization),
    },
    Check {
        id: "kubelet.client-certificates",
        title: "Kubelet knows whose certificates to trust",
        references: &["CIS Kubernetes 4.2.3"],
        look: |node| node.with_kubelet(client_certificates),
    },
    Check {
        id: "kubelet.no-read-only-port",
        title: "Kubelet has no port that asks no questions",
        references: &["CIS Kubernetes 4.2.4"],
        look: |node| node.with_kubelet(no_read_only_port),
    },
    Check {
        id: "kubelet.certificate-rotation",
        title: "Kubelet's certificate is renewed before it expires",
        references: &["CIS Kubernetes 4.2.10"],
        look: |node| node.with_kubelet(rotation),
    },
    Check {
        id: "kubelet.files",
        title: "Only root writes kubelet's files, and reads its credentials",
        references: &["CIS Kubernetes 4.1.5", "CIS Kubernetes 4.1.7", "CIS Kubernetes 4.1.9"],
        look: |node| node.with_kubelet(files),
    },
];

const CONFIGURATION: &str = "/etc/kubernetes/kubelet.json";

/// A kubelet as it runs.
struct Kubelet<'n> {
    node: &'n Node,
    configuration: Value,
    words: Vec<String>,
}

impl Node {
    fn with_kubelet(&self, look: impl Fn(&Kubelet<'_>) -> Finding) -> Finding {
        if !self.system.exists(CONFIGURATION) {
            return Finding::Foreign;
        }
        let Some(configuration) = self.system.json(CONFIGURATION) else {
            return Finding::Unknown(format!("{CONFIGURATION} cannot be read"));
        };
        let is_it = |process: &String| {
            let group = self.system.text(&format!("/proc/{process}/cgroup")).unwrap_or_default();
            group.ends_with("/kubelet.service")
        };
        let processes = self.system.names("/proc");
        let Some(process) = processes.iter().find(|process| is_it(process)) else {
            return Finding::Unknown("kubelet does not run".to_owned());
        };
        let words = self.system.bytes(&format!("/proc/{process}/cmdline")).unwrap_or_default();
        let words =
            words.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        look(&Kubelet { node: self, configuration, words })
    }
}

impl Kubelet<'_> {
    /// The value at a way into the configuration, unless a flag counts for
    /// more.
    fn value(&self, way: &[&str], flag: &str) -> Result<&Value, Finding> {
        let flag = format!("--{flag}");
        let word = self.words.iter().find(|word| word.split('=').next() == Some(flag.as_str()));
        if let Some(word) = word {
            return Err(Finding::Fails(format!("its command line has {word}, which nothing here made")));
        }
        Ok(way.iter().fold(&self.configuration, |value, part| &value[part]))
    }

    /// One that nobody can tell who they are, on loopback, serves no cluster.
    fn is_alone(&self) -> bool {
        let authentication = &self.configuration["authentication"];
        self.configuration["address"] == "127.0.0.1"
            && authentication["anonymous"]["enabled"] == false
            && authentication["webhook"]["enabled"] == false
            && authentication["x509"]["clientCAFile"].is_null()
    }
}

const ALONE: &str = "it belongs to no cluster: it is at 127.0.0.1 alone, and lets nobody in";

/// What a look at a value makes of it, or of a flag.
fn judged(value: Result<&Value, Finding>, judge: impl FnOnce(&Value) -> Finding) -> Finding {
    match value {
        Ok(value) => judge(value),
        Err(finding) => finding,
    }
}

fn no_anonymous(kubelet: &Kubelet<'_>) -> Finding {
    judged(
        kubelet.value(&["authentication", "anonymous", "enabled"], "anonymous-auth"),
        |value| match value {
            Value::Bool(false) => Finding::Holds("authentication.anonymous.enabled is false".to_owned()),
            other => Finding::Fails(format!("authentication.anonymous.enabled is {other}")),
        },
    )
}

fn authorization(kubelet: &Kubelet<'_>) -> Finding {
    judged(kubelet.value(&["authorization", "mode"], "authorization-mode"), |value| match value.as_str() {
        Some("Webhook") => Finding::Holds("authorization.mode is Webhook".to_owned()),
        _ if kubelet.is_alone() => Finding::Holds(ALONE.to_owned()),
        _ => Finding::Fails(format!("authorization.mode is {value}")),
    })
}

fn client_certificates(kubelet: &Kubelet<'_>) -> Finding {
    let file = kubelet.value(&["authentication", "x509", "clientCAFile"], "client-ca-file");
    judged(file, |value| match value.as_str() {
        Some(path) if kubelet.node.system.exists(path) => Finding::Holds(path.to_owned()),
        Some(path) => Finding::Fails(format!("there is no {path}")),
        None if kubelet.is_alone() => Finding::Holds(ALONE.to_owned()),
        None => Finding::Fails("authentication.x509.clientCAFile is not set".to_owned()),
    })
}

fn no_read_only_port(kubelet: &Kubelet<'_>) -> Finding {
    judged(kubelet.value(&["readOnlyPort"], "read-only-port"), |value| match value.as_u64() {
        Some(0) => Finding::Holds("readOnlyPort is 0".to_owned()),
        _ => Finding::Fails(format!("readOnlyPort is {value}")),
    })
}

fn rotation(kubelet: &Kubelet<'_>) -> Finding {
    judged(kubelet.value(&["rotateCertificates"], "rotate-certificates"), |value| match value {
        Value::Bool(true) => Finding::Holds("rotateCertificates is true".to_owned()),
        other => Finding::Fails(format!("rotateCertificates is {other}")),
    })
}

fn files(kubelet: &Kubelet<'_>) -> Finding {
    let there = |paths: &[&str]| -> Vec<PathBuf> {
        paths.iter().filter(|path| kubelet.node.system.exists(path)).map(PathBuf::from).collect()
    };
    let kept =
        there(&["/run/kubelet/kubeconfig", "/etc/kubernetes/kubeconfig", "/etc/kubernetes/pki/client.key"]);
    let read = there(&[
        CONFIGURATION,
        "/etc/kubernetes/kubelet.env",
        "/etc/kubernetes/pki/ca.crt",
        "/etc/kubernetes/pki/client.crt",
    ]);
    match (kubelet.node.is_roots_alone(&kept, 0o077), kubelet.node.is_roots_alone(&read, 0o022)) {
        (Finding::Holds(_), holds @ Finding::Holds(_)) if kept.is_empty() => holds,
        (Finding::Holds(kept), Finding::Holds(read)) => Finding::Holds(format!("{kept}, {read}")),
        (Finding::Holds(_), against) => against,
        (against, _) => against,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{fails_with, holds, look, node};
    use super::*;

    fn kubelet(configuration: &Value, words: &str, id: &str) -> Finding {
        let (_place, node) = node(&[
            (CONFIGURATION, &configuration.to_string()),
            ("/proc/9/cgroup", "0::/system.slice/kubelet.service\n"),
            ("/proc/9/cmdline", &words.replace(' ', "\0")),
            ("/ca.crt", ""),
        ]);
        look(id, &node)
    }

    fn joined() -> Value {
        json!({
            "address": "0.0.0.0",
            "authentication": {
                "anonymous": { "enabled": false }, "webhook": { "enabled": true }, "x509": { "clientCAFile": "/ca.crt" },
            },
            "authorization": { "mode": "Webhook" }, "readOnlyPort": 0, "rotateCertificates": true,
        })
    }

    const CASES: [(&str, &str, &str); 5] = [
        ("kubelet.no-anonymous", "/authentication/anonymous/enabled", "anonymous-auth"),
        ("kubelet.authorization", "/authorization/mode", "authorization-mode"),
        ("kubelet.client-certificates", "/authentication/x509/clientCAFile", "client-ca-file"),
        ("kubelet.no-read-only-port", "/readOnlyPort", "read-only-port"),
        ("kubelet.certificate-rotation", "/rotateCertificates", "rotate-certificates"),
    ];

    #[test]
    fn each_option_counts_and_a_flag_for_more() {
        for (id, way, flag) in CASES {
            holds(kubelet(&joined(), "/usr/bin/kubelet --config=x", id));
            for other in [json!("x"), json!(true), json!(10255), Value::Null] {
                let mut configuration = joined();
                let value = configuration.pointer_mut(way).unwrap();
                if *value != other {
                    *value = other.clone();
                    fails_with(kubelet(&configuration, "kubelet", id), "");
                }
            }
            fails_with(kubelet(&joined(), &format!("kubelet --{flag}=x"), id), flag);
            fails_with(kubelet(&joined(), &format!("kubelet --{flag}"), id), flag);
        }
    }

    #[test]
    fn without_a_cluster_nobody_is_let_in() {
        let mut alone = joined();
        alone["address"] = json!("127.0.0.1");
        alone["authentication"]["webhook"]["enabled"] = json!(false);
        alone["authentication"]["x509"]["clientCAFile"] = Value::Null;
        alone["authorization"]["mode"] = json!("AlwaysAllow");
        for id in ["kubelet.authorization", "kubelet.client-certificates"] {
            holds(kubelet(&alone, "kubelet", id));
        }
        alone["address"] = json!("0.0.0.0");
        for id in ["kubelet.authorization", "kubelet.client-certificates"] {
            fails_with(kubelet(&alone, "kubelet", id), "");
        }
    }

    #[test]
    fn a_node_without_kubelet_is_not_asked() {
        let (_place, without) = node(&[]);
        assert_eq!(look("kubelet.files", &without), Finding::Foreign);
        let (_place, idle) = node(&[(CONFIGURATION, "{}")]);
        assert_eq!(look("kubelet.files", &idle), Finding::Unknown("kubelet does not run".to_owned()));
    }
}
