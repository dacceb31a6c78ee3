# ext4: make, check, grow: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
  util-linux-libs,
}:
lib.debPackage {
  pname = "e2fsprogs";
  debs = [
    "e2fsprogs"
    "libext2fs2t64"
    "libcom-err2"
  ];
  include = [
    "usr/sbin/mke2fs"
    "usr/sbin/mkfs.ext4"
    "usr/sbin/e2fsck"
    "usr/sbin/fsck.ext4"
    "usr/sbin/resize2fs"
    "etc/mke2fs.conf"
    "usr/lib/x86_64-linux-gnu/libext2fs.so.2*"
    "usr/lib/x86_64-linux-gnu/libe2p.so.2*"
    "usr/lib/x86_64-linux-gnu/libcom_err.so.2*"
  ];
  runtimeInputs = [
    glibc
    util-linux-libs
  ];
  meta = {
    description = "ext4: make, check, grow";
    license = "GPL-2.0-only";
    homepage = "https://e2fsprogs.sourceforge.net";
    cpe = "a:e2fsprogs_project:e2fsprogs";
  };
}
