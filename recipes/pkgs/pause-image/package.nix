# The image that every pod's sandbox is made from.
{ lib, pause }:
lib.ociImage {
  pname = "pause-image";
  reference = "osbuild.local/pause:1";
  files."pause" = "${pause}/usr/bin/pause";
  entrypoint = [ "/pause" ];
  inherit (pause) crates meta;
}
