# Deflate compression: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
}:
lib.debPackage {
  pname = "zlib";
  debs = [
    "zlib1g"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libz.so.1*"
  ];
  runtimeInputs = [
    glibc
  ];
  meta = {
    description = "Deflate compression";
    license = "Zlib";
    homepage = "https://zlib.net";
    cpe = "a:zlib:zlib";
  };
}
