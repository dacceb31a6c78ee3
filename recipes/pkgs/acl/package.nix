# Access control lists: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
}:
lib.debPackage {
  pname = "acl";
  debs = [
    "libacl1"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libacl.so.1*"
  ];
  runtimeInputs = [
    glibc
  ];
  meta = {
    description = "Access control lists";
    license = "LGPL-2.1-or-later";
    homepage = "https://savannah.nongnu.org/projects/acl/";
  };
}
