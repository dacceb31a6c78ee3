# AppArmor interface, which systemd links: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
}:
lib.debPackage {
  pname = "apparmor";
  debs = [
    "libapparmor1"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libapparmor.so.1*"
  ];
  runtimeInputs = [
    glibc
  ];
  meta = {
    description = "AppArmor interface, which systemd links";
    license = "LGPL-2.1-only";
    homepage = "https://apparmor.net";
    cpe = "a:canonical:apparmor";
  };
}
