//! The graph for programs.

use osbuild_store::StoreDir;
use serde_json::{Value, json};

use super::BuildGraph;
use crate::graph::described::{Step, StepOutput};

/// The whole graph as one record, nothing folded; `schema` is 1.
///
/// `nodes` are named by their `drv`, as in `edges` (`from` a step `to` one
/// that it needs), `targets` and `criticalPath`, which is in the order in
/// which steps run. Times are milliseconds: `usualMs` is `null` of a step that
/// never ran here, `countedMs` is what `criticalMs` adds up. Sizes are bytes of
/// outputs that are in the store, else `null`.
pub fn record(graph: &BuildGraph, store_dir: &StoreDir) -> Value {
    let drv = |step: usize| store_dir.display(&graph.steps[step].derivation);
    let all = |steps: &[usize]| -> Vec<String> { steps.iter().map(|step| drv(*step)).collect() };
    json!({
        "schema": 1,
        "targets": all(&graph.targets),
        "nodes": graph.steps.iter().map(|step| node(step, store_dir)).collect::<Vec<Value>>(),
        "edges": graph.edges.iter().map(|(from, to)| json!({ "from": drv(*from), "to": drv(*to) })).collect::<Vec<Value>>(),
        "criticalPath": all(&graph.critical),
        "criticalMs": graph.critical_ms,
    })
}

/// What the record says of a step.
pub(super) fn node(step: &Step, store_dir: &StoreDir) -> Value {
    let output = |output: &StepOutput| {
        json!({
            "name": output.name.as_str(),
            "path": output.path.as_ref().map(|path| store_dir.display(path)),
            "sizeBytes": output.size_bytes,
        })
    };
    json!({
        "drv": store_dir.display(&step.derivation),
        "name": step.name(),
        "kind": if step.is_fetch { "fetch" } else { "build" },
        "system": step.system,
        "builder": step.builder,
        "state": step.state.id(),
        "usualMs": step.usual.is_measured.then_some(step.usual.ms),
        "countedMs": step.usual.ms,
        "sizeBytes": step.size_bytes(),
        "outputs": step.outputs.iter().map(output).collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_record_holds_the_whole_graph() {
        let graph = sample::image();
        let record = record(&graph, &StoreDir::default());
        let drv = |step: usize| StoreDir::default().display(&graph.steps[step].derivation);
        assert_eq!(record["schema"], 1);
        assert_eq!(record["targets"], json!([drv(0)]));
        assert_eq!(record["nodes"].as_array().map(Vec::len), Some(8));
        assert_eq!(record["edges"][3], json!({ "from": drv(1), "to": drv(4) }));
        assert_eq!(record["criticalPath"], json!([drv(4), drv(1), drv(0)]));
        assert_eq!(record["criticalMs"], 745_000);
        let output = &graph.steps[2].outputs[0];
        let expected = json!({
            "drv": drv(2), "name": "tool-0.9", "kind": "build", "system": "x86_64-linux",
            "builder": "/bin/sh", "state": "present", "usualMs": 900, "countedMs": 900, "sizeBytes": 2048,
            "outputs": [{
                "name": "out", "path": StoreDir::default().display(output.path.as_ref().unwrap()),
                "sizeBytes": 2048,
            }],
        });
        assert_eq!(record["nodes"][2], expected);
        // Fields are there where there is nothing to say.
        assert_eq!(record["nodes"][0]["usualMs"], Value::Null);
        assert_eq!(record["nodes"][0]["countedMs"], 5_000);
        assert_eq!(record["nodes"][0]["sizeBytes"], Value::Null);
    }
}
