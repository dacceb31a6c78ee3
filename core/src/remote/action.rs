//! An order as the messages of the API: pure.
//!
//! Equal orders give equal bytes, and equal bytes are equal actions, which a
//! cluster runs once: everything that the API wants sorted is.

use std::collections::BTreeMap;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::google::protobuf::Duration;
use osbuild_builder::{INPUTS, ORDER, OUTPUTS, Order, REPORT, archive_name};
use prost::Message;

use super::digest::{Digest, Function};

/// The builder's name in the action.
const BUILDER: &str = "osbuild-builder";

/// What a build is on a cluster.
pub(super) struct Action {
    pub(super) digest: Digest,
    /// Everything but the builder and the inputs' archives.
    pub(super) messages: BTreeMap<Digest, Vec<u8>>,
}

/// What goes into an action beside its order.
pub(super) struct Surroundings<'a> {
    pub(super) function: Function,
    pub(super) builder: &'a Digest,
    /// The archive of each input of the order.
    pub(super) inputs: &'a BTreeMap<String, Digest>,
    pub(super) properties: &'a BTreeMap<String, String>,
    pub(super) timeout: Option<std::time::Duration>,
}

/// Where an output's archive is in the result.
pub(super) fn output_path(output: &str) -> String {
    format!("{OUTPUTS}/{}", archive_name(output))
}

/// Where the report is in the result.
pub(super) fn report_path() -> String {
    format!("{OUTPUTS}/{REPORT}")
}

impl Action {
    #[expect(
        deprecated,
        reason = "servers of before 2.1 read the older fields, and some newer ones only these"
    )]
    pub(super) fn new(order: &Order, surroundings: &Surroundings<'_>) -> Self {
        let function = surroundings.function;
        let mut messages = BTreeMap::new();
        let mut add = |bytes: Vec<u8>| {
            let digest = function.of(&bytes);
            messages.insert(digest.clone(), bytes);
            digest
        };
        let file = |name: &str, digest: &Digest, is_executable| api::FileNode {
            name: name.to_owned(),
            digest: Some(digest.to_api()),
            is_executable,
            node_properties: None,
        };
        let archives =
            surroundings.inputs.iter().map(|(name, digest)| file(&archive_name(name), digest, false));
        let inputs =
            add(api::Directory { files: sorted(archives), ..api::Directory::default() }.encode_to_vec());
        let order_file = add(serde_json::to_vec(order).expect("an order serialises"));
        let root = api::Directory {
            files: sorted([file(BUILDER, surroundings.builder, true), file(ORDER, &order_file, false)]),
            directories: vec![api::DirectoryNode { name: INPUTS.to_owned(), digest: Some(inputs.to_api()) }],
            ..api::Directory::default()
        };
        let root = add(root.encode_to_vec());
        let mut outputs: Vec<String> = order.outputs.keys().map(|output| output_path(output)).collect();
        outputs.push(report_path());
        outputs.sort();
        let property = |(name, value): (&String, &String)| api::platform::Property {
            name: name.clone(),
            value: value.clone(),
        };
        let platform =
            Some(api::Platform { properties: surroundings.properties.iter().map(property).collect() });
        let command = api::Command {
            arguments: vec![format!("./{BUILDER}")],
            output_files: outputs.clone(),
            output_paths: outputs,
            platform: platform.clone(),
            ..api::Command::default()
        };
        let command = add(command.encode_to_vec());
        let timeout = surroundings.timeout.map(|timeout| Duration {
            seconds: timeout.as_secs().cast_signed(),
            nanos: timeout.subsec_nanos().cast_signed(),
        });
        let action = api::Action {
            command_digest: Some(command.to_api()),
            input_root_digest: Some(root.to_api()),
            timeout,
            platform,
            ..api::Action::default()
        };
        let digest = add(action.encode_to_vec());
        Self { digest, messages }
    }
}

/// By name, as the API wants every list of a directory.
fn sorted(files: impl IntoIterator<Item = api::FileNode>) -> Vec<api::FileNode> {
    let mut files: Vec<api::FileNode> = files.into_iter().collect();
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            schema: osbuild_builder::SCHEMA,
            store_dir: "/nix/store".to_owned(),
            inputs: ["b-input".to_owned(), "a-input".to_owned()].into(),
            package_root: None,
            program: b"/bin/sh".to_vec(),
            arguments: vec![vec![0xff, 0xfe]],
            environment: BTreeMap::new(),
            files: Vec::new(),
            outputs: BTreeMap::from([
                ("out".to_owned(), "c-out".to_owned()),
                ("dev".to_owned(), "d-dev".to_owned()),
            ]),
        }
    }

    #[test]
    #[expect(deprecated, reason = "the older fields are what is tested, too")]
    fn an_action_lists_everything_in_the_order_that_the_api_wants() {
        let digest = |text: &str| Function::Sha256.of(text.as_bytes());
        let inputs =
            BTreeMap::from([("b-input".to_owned(), digest("b")), ("a-input".to_owned(), digest("a"))]);
        let properties = BTreeMap::from([("unixUID".to_owned(), "1000".to_owned())]);
        let timeout = Some(std::time::Duration::from_millis(1500));
        let builder = digest("builder");
        let surroundings = Surroundings {
            function: Function::Sha256,
            builder: &builder,
            inputs: &inputs,
            properties: &properties,
            timeout,
        };
        let made = Action::new(&order(), &surroundings);
        let of =
            |digest: &Option<api::Digest>| &made.messages[&Digest::read(digest.as_ref().unwrap()).unwrap()];
        let action = api::Action::decode(made.messages[&made.digest].as_slice()).unwrap();
        assert_eq!(action.timeout.unwrap(), Duration { seconds: 1, nanos: 500_000_000 });
        let command = api::Command::decode(of(&action.command_digest).as_slice()).unwrap();
        assert_eq!(command.arguments, ["./osbuild-builder"]);
        assert_eq!(command.output_paths, ["outputs/dev.nar", "outputs/out.nar", "outputs/report.json"]);
        assert_eq!(command.output_files, command.output_paths);
        assert_eq!(command.platform, action.platform);
        let root = api::Directory::decode(of(&action.input_root_digest).as_slice()).unwrap();
        let names =
            |directory: &api::Directory| directory.files.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&root), ["order.json", "osbuild-builder"]);
        assert_eq!(root.files.iter().map(|f| f.is_executable).collect::<Vec<_>>(), [false, true]);
        let archives = api::Directory::decode(of(&root.directories[0].digest).as_slice()).unwrap();
        assert_eq!(names(&archives), ["a-input.nar", "b-input.nar"]);
        let sent: Order = serde_json::from_slice(of(&root.files[0].digest)).unwrap();
        assert_eq!(sent, order());
        assert_eq!(Action::new(&order(), &surroundings).digest, made.digest);
    }
}
