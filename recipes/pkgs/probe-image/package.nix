# The probe as a container image, for the health contract and for tests.
{ lib, probe }:
lib.ociImage {
  pname = "probe-image";
  reference = "osbuild.local/probe:1";
  files."probe" = "${probe}/usr/bin/probe";
  entrypoint = [ "/probe" ];
  inherit (probe) crates meta;
}
