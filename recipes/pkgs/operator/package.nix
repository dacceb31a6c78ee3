# Updates the nodes of a Kubernetes cluster; runs in it, and is in no image of a
# node.
{ lib }:
let
  workspace = lib.rustWorkspace {
    name = "operator";
    folder = "recipes/operator";
    description = "Dependencies of the operator, compiled";
  };
in
workspace.buildRust {
  programs.osbuild-operator = "usr/bin/osbuild-operator";
  leaves = [ ];
  description = "Updates the nodes of a Kubernetes cluster, a few at a time";
}
