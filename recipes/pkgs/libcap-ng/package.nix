# POSIX capabilities, as audit uses them: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
}:
lib.debPackage {
  pname = "libcap-ng";
  debs = [
    "libcap-ng0"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libcap-ng.so.0*"
  ];
  runtimeInputs = [
    glibc
  ];
  meta = {
    description = "POSIX capabilities, as audit uses them";
    license = "LGPL-2.1-or-later";
    homepage = "https://people.redhat.com/sgrubb/libcap-ng/";
    cpe = "a:libcap-ng_project:libcap-ng";
  };
}
