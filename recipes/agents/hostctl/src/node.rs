//! How the node is, asked for.

use clap::Args;
use serde_json::Value;

use crate::ask::{Failure, ask, query};

/// Which lines of the journal.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Logs {
    /// Only this unit's: containerd.service, or containerd
    #[arg(short, long, value_name = "UNIT")]
    pub(crate) unit: Option<String>,
    /// Only later ones: a time (2030-01-31T12:00:00Z), or how long ago (15m)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// The first lines of this start instead of the last
    #[arg(long, conflicts_with = "since")]
    pub(crate) boot: bool,
    /// At most so many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 200)]
    pub(crate) lines: u32,
    /// Only this priority and worse: emerg, alert, crit, err, warning, notice, info, debug
    #[arg(short, long, value_name = "PRIORITY")]
    pub(crate) priority: Option<String>,
    /// Only the kernel's own
    #[arg(short, long, conflicts_with = "unit")]
    pub(crate) kernel: bool,
}

impl Logs {
    pub(crate) fn address(&self) -> String {
        let query = query(&[
            ("unit", self.unit.clone()),
            ("since", self.since.clone()),
            ("from", self.boot.then(|| "boot".to_owned())),
            ("lines", Some(self.lines.to_string())),
            ("priority", self.priority.clone()),
            ("source", self.kernel.then(|| "kernel".to_owned())),
        ]);
        format!("/v1/node/logs{query}")
    }
}

pub(crate) fn logs(wanted: &Logs) -> Result<Value, Failure> {
    let record = ask("GET", &wanted.address(), None)?;
    if record["hasMore"] == Value::Bool(true) {
        eprintln!("note: there are more lines: ask for them with --lines or --since");
    }
    Ok(record)
}

pub(crate) fn services(name: Option<&str>) -> Result<Value, Failure> {
    let query = query(&[("name", name.map(str::to_owned))]);
    ask("GET", &format!("/v1/node/services{query}"), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_become_an_address() {
        let all = Logs {
            unit: Some("a@b.service".to_owned()),
            since: Some("1h 5m".to_owned()),
            boot: false,
            lines: 7,
            priority: Some("err".to_owned()),
            kernel: false,
        };
        assert_eq!(all.address(), "/v1/node/logs?unit=a%40b.service&since=1h%205m&lines=7&priority=err");
        let first = Logs { boot: true, kernel: true, lines: 1, ..Logs::default() };
        assert_eq!(first.address(), "/v1/node/logs?from=boot&lines=1&source=kernel");
    }
}
