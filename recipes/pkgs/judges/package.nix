# Other people's programs that judge what we write, for the tests: never part of
# an image.
{ lib }:
let
  version = (lib.lockedSource {
    lock = "judges";
    package = "nix-bin";
  }).version;
in
lib.unpackDebs {
  name = "judges-root";
  debs = lib.debs "judges";
  exclude = [
    "usr/share/doc/**"
    "usr/share/man/**"
    "usr/share/locale/**"
  ];
}
// {
  pname = "judges";
  inherit version;
  meta = {
    description = "Programs that judge formats and evaluation, for tests";
    license = "GPL-3.0-or-later";
    homepage = "https://www.debian.org";
  };
}
