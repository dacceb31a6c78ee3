# SELinux interface: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
  pcre2,
}:
lib.debPackage {
  pname = "libselinux";
  debs = [
    "libselinux1"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libselinux.so.1"
  ];
  runtimeInputs = [
    glibc
    pcre2
  ];
  meta = {
    description = "SELinux interface";
    license = "LicenseRef-public-domain";
    licenseText = "libselinux is public domain software: it is not copyrighted, and there is no warranty.";
    homepage = "https://github.com/SELinuxProject/selinux";
  };
}
