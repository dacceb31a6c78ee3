# containerd's config.toml, in the form that the picked package's series reads.
# The first series takes version 2, in which the runtime interface is one
# plugin; the second takes version 3, which parts it into images and runtime,
# and would have to migrate the older form at every start.
{
  package,
  # Runs as each pod's own container.
  sandboxImage,
}:
let
  # The service manager alone makes cgroups: runc asks it over its private
  # socket, so that no message bus is needed. The plugin `opt`, disabled in
  # both, makes a directory on the read-only root. An image is recorded only
  # after its layers are on the disk, so that a power cut leaves no empty one.
  first = ''
    version = 2
    root = "/var/lib/containerd"
    state = "/run/containerd"
    oom_score = -999
    disabled_plugins = ["io.containerd.internal.v1.opt"]

    [grpc]
    address = "/run/containerd/containerd.sock"

    [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "${sandboxImage}"
    image_pull_with_sync_fs = true
    enable_selinux = false

    [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = true

    [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
  '';

  second = ''
    version = 3
    root = "/var/lib/containerd"
    state = "/run/containerd"
    oom_score = -999
    disabled_plugins = ["io.containerd.internal.v1.opt"]

    [grpc]
    address = "/run/containerd/containerd.sock"

    [plugins."io.containerd.cri.v1.images"]
    snapshotter = "overlayfs"
    image_pull_with_sync_fs = true

    [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "${sandboxImage}"

    [plugins."io.containerd.cri.v1.runtime"]
    enable_selinux = false

    [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"

    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
    SystemdCgroup = true

    [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/opt/cni/bin"]
    conf_dir = "/etc/cni/net.d"
  '';

  major = builtins.head (builtins.match "([0-9]+)\\..*" package.version);
in
{
  "1" = first;
  "2" = second;
}
.${major}
  or (throw "containerd.package is containerd ${package.version}; its configuration is known for the series 1 and 2 (variants/lib/containerd.nix)")
