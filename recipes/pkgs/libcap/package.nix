# POSIX capabilities: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
}:
lib.debPackage {
  pname = "libcap";
  debs = [
    "libcap2"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libcap.so.2*"
  ];
  runtimeInputs = [
    glibc
  ];
  meta = {
    description = "POSIX capabilities";
    license = "BSD-3-Clause OR GPL-2.0-only";
    homepage = "https://sites.google.com/site/fullycapable/";
    cpe = "a:libcap_project:libcap";
  };
}
