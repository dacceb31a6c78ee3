# QEMU and its firmware, for `osbuild boot`: a root of its own, never part of
# an image.
{ lib }:
let
  version = (lib.lockedSource {
    lock = "qemu";
    package = "qemu-system-x86";
  }).version;
in
lib.unpackDebs {
  name = "qemu-root";
  debs = lib.debs "qemu";
  exclude = [
    "usr/share/doc/**"
    "usr/share/man/**"
    "usr/share/locale/**"
  ];
}
// {
  pname = "qemu";
  inherit version;
  meta = {
    description = "Machine emulator and firmware, to run what was built";
    license = "GPL-2.0-only";
    homepage = "https://www.qemu.org";
  };
}
