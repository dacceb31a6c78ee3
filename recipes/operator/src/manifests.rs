//! The definitions of the operator's own kinds, as the cluster is given them.

use kube::CustomResourceExt;

use crate::resources::{NodeUpdate, UpdatePolicy};

const HEAD: &str = "# Made by `osbuild-operator crds` from src/resources.rs.\n";

/// YAML, one document a kind.
pub fn definitions() -> String {
    let documents = [NodeUpdate::crd(), UpdatePolicy::crd()].map(|definition| {
        let text = serde_yaml::to_string(&definition).expect("definitions are plain data");
        format!("---\n{text}")
    });
    format!("{HEAD}{}", documents.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_the_types_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/crds.yaml");
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(path, definitions()).unwrap();
        }
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text == definitions(), "{path} is old: run with UPDATE_SNAPSHOTS=1");
    }
}
