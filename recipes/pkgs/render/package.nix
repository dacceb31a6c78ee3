# Writes the files of /etc that follow from the settings.
{ lib }:
lib.buildRust {
  crate = "render";
  programs.render = "usr/lib/osbuild/render";
  uses = [ "schema" ];
  description = "Writes the files of /etc that follow from the settings";
}
