# System call filters: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
}:
lib.debPackage {
  pname = "libseccomp";
  debs = [
    "libseccomp2"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libseccomp.so.2*"
  ];
  runtimeInputs = [
    glibc
  ];
  meta = {
    description = "System call filters";
    license = "LGPL-2.1-only";
    homepage = "https://github.com/seccomp/libseccomp";
    cpe = "a:libseccomp_project:libseccomp";
  };
}
