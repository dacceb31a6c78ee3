# Gives network interfaces back the MTU that they had before a setting.
{ lib }:
lib.buildRust {
  crate = "links";
  programs.links = "usr/lib/osbuild/links";
  uses = [ "sys" ];
  description = "Gives network interfaces back the MTU that they had before a setting";
}
