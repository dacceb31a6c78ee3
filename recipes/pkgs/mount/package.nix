# Mounting, as the service manager's mount units and kubelet call it: from
# pinned binary packages, only the files that run.
{
  lib,
  glibc,
  libselinux,
  util-linux-libs,
}:
lib.debPackage {
  pname = "mount";
  include = [
    "usr/bin/mount"
    "usr/bin/umount"
  ];
  runtimeInputs = [
    glibc
    libselinux
    util-linux-libs
  ];
  meta = {
    description = "Mounting and unmounting file systems";
    license = "GPL-2.0-or-later";
    homepage = "https://www.kernel.org/pub/linux/utils/util-linux/";
    cpe = "a:kernel:util-linux";
  };
}
