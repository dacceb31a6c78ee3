# Pluggable authentication, which systemd links: from pinned binary packages, only the files that run.
{
  lib,
  audit,
  glibc,
}:
lib.debPackage {
  pname = "pam";
  debs = [
    "libpam0g"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libpam.so.0*"
  ];
  runtimeInputs = [
    audit
    glibc
  ];
  meta = {
    description = "Pluggable authentication, which systemd links";
    license = "BSD-3-Clause";
    homepage = "https://github.com/linux-pam/linux-pam";
    cpe = "a:linux-pam:linux-pam";
  };
}
