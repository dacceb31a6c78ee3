# QEMU and its firmware, for `osbuild boot`: a root of its own, never part of
# an image.
{ lib }:
lib.toolRoot {
  pname = "qemu";
  versionOf = "qemu-system-x86";
  meta = {
    description = "Machine emulator and firmware, to run what was built";
    license = "GPL-2.0-only";
    homepage = "https://www.qemu.org";
  };
}
