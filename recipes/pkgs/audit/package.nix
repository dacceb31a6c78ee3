# Kernel audit interface: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
  libcap-ng,
}:
lib.debPackage {
  pname = "audit";
  debs = [
    "libaudit1"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libaudit.so.1*"
  ];
  runtimeInputs = [
    glibc
    libcap-ng
  ];
  meta = {
    description = "Kernel audit interface";
    license = "LGPL-2.1-or-later";
    homepage = "https://people.redhat.com/sgrubb/audit/";
  };
}
