# kube-proxy as a cluster brings it, for tests: a node carries none.
{ lib, control-plane }:
let
  root = lib.unpackDebs {
    name = "kube-proxy-root";
    debs = lib.debs "kube-proxy";
    exclude = [ "usr/share/**" ];
  };
  # What it calls; a package's links to it are made by its maintainer scripts.
  tables = builtins.listToAttrs (
    map
      (name: {
        name = "usr/sbin/${name}";
        value = "${root}/usr/sbin/xtables-nft-multi";
      })
      [
        "iptables"
        "iptables-restore"
        "iptables-save"
        "ip6tables"
        "ip6tables-restore"
        "ip6tables-save"
      ]
  );
in
lib.ociImage {
  pname = "kube-proxy-image";
  reference = "osbuild.local/kube-proxy:1";
  inherit root;
  files = tables // {
    "usr/bin/kube-proxy" = "${control-plane}/usr/bin/kube-proxy";
  };
  entrypoint = [ "/usr/bin/kube-proxy" ];
  meta = control-plane.meta // {
    description = "kube-proxy with the iptables that it calls, for tests";
  };
}
