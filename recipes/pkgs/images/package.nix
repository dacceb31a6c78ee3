# Imports the images that the root carries for pods.
{ lib }:
lib.buildRust {
  crate = "images";
  programs.images = "usr/lib/osbuild/images";
  uses = [ "sys" ];
  description = "Imports the images that the root carries for pods";
}
