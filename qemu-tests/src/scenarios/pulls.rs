//! Images come from a registry over TLS, once the settings name the authority
//! that its certificate is from.

use serde_json::json;

use crate::context::Context;
use crate::control_plane::ControlPlane;
use crate::node::expect_in_time;
use crate::registry::Registry;
use crate::ssh::Client;

const POD: &str = "pulled";
const REFUSAL: &str = "certificate signed by unknown authority";
const IMAGES: &str =
    "chroot /.osbuild/host /usr/bin/ctr -a /run/host-containerd/containerd.sock -n host images ls -q";
const JOURNAL: &str = "chroot /.osbuild/host /usr/bin/journalctl --no-pager -o cat -t hostcontainer";

/// For a pod, and for a container of the node.
pub(crate) fn over_tls(
    context: &Context,
    client: &Client,
    (control, admin): (u16, u16),
    plane: &ControlPlane,
) -> Result<(), String> {
    let archive = context.build("pkgs.probe-image")?.join("usr/share/osbuild/images/probe-image.tar");
    let registry = Registry::serve(context, &archive)?;
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": POD },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": POD,
                "image": registry.image,
                "imagePullPolicy": "Always",
                "command": ["/probe", POD, "--stay"],
                "volumeMounts": [{ "name": "nonce", "mountPath": "/nonce", "readOnly": true }],
            }],
            "volumes": [{ "name": "nonce", "hostPath": { "path": "/run/osbuild/nonce", "type": "File" } }],
        },
    });
    plane.apply(&pod)?;
    let own = format!("[host-containers.{POD}]\nenabled = true\nimage = \"{}\"\n", registry.image);
    apply(context, client, control, &own)?;
    expect_in_time("the pod's image refused", || {
        let events =
            plane.kubectl(&["get", "events", "--field-selector", &format!("involvedObject.name={POD}")])?;
        Ok(events.contains(REFUSAL))
    })?;
    expect_in_time("the container's image refused", || Ok(client.run(admin, JOURNAL)?.1.contains(REFUSAL)))?;

    let authorities =
        format!("[network.certificate-authorities]\ntest = \"\"\"\n{}\"\"\"\n", registry.authority);
    apply(context, client, control, &authorities)?;
    plane.kubectl(&["delete", "pod", POD])?;
    plane.apply(&pod)?;
    plane.kubectl(&["wait", "--for=condition=Ready", &format!("pod/{POD}"), "--timeout=180s"])?;
    expect_in_time("the container's image", || Ok(client.run(admin, IMAGES)?.1.contains(&registry.image)))?;
    plane.kubectl(&["delete", "pod", POD])?;
    client.says(control, &format!("set host-containers.{POD}.enabled=false"), 0, "")
}

/// Settings from a file, as a person hands them in.
fn apply(context: &Context, client: &Client, control: u16, settings: &str) -> Result<(), String> {
    let file = context.scratch("pulls.toml");
    std::fs::write(&file, settings).map_err(|error| format!("{}: {error}", file.display()))?;
    client.feed(control, "apply -", &file)
}
