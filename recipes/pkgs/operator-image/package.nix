# The operator as a container image: one program, which runs as nobody.
{ lib, operator }:
lib.ociImage {
  pname = "operator-image";
  reference = "osbuild.local/operator:1";
  files."usr/bin/osbuild-operator" = "${operator}/usr/bin/osbuild-operator";
  entrypoint = [ "/usr/bin/osbuild-operator" ];
  inherit (operator) crates meta;
}
