# Block device identification, mounting, UUIDs: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
  libselinux,
}:
lib.debPackage {
  pname = "util-linux-libs";
  debs = [
    "libblkid1"
    "libmount1"
    "libuuid1"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libblkid.so.1*"
    "usr/lib/x86_64-linux-gnu/libmount.so.1*"
    "usr/lib/x86_64-linux-gnu/libuuid.so.1*"
  ];
  runtimeInputs = [
    glibc
    libselinux
  ];
  meta = {
    description = "Block device identification, mounting, UUIDs";
    license = "LGPL-2.1-or-later";
    homepage = "https://www.kernel.org/pub/linux/utils/util-linux/";
    cpe = "a:kernel:util-linux";
  };
}
