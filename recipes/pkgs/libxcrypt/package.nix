# Password hashing, which systemd links: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
}:
lib.debPackage {
  pname = "libxcrypt";
  debs = [
    "libcrypt1"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libcrypt.so.1*"
  ];
  runtimeInputs = [
    glibc
  ];
  meta = {
    description = "Password hashing, which systemd links";
    license = "LGPL-2.1-or-later";
    homepage = "https://github.com/besser82/libxcrypt";
  };
}
