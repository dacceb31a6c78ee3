# Zstandard compression: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
}:
lib.debPackage {
  pname = "zstd";
  debs = [
    "libzstd1"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libzstd.so.1*"
  ];
  runtimeInputs = [
    glibc
  ];
  meta = {
    description = "Zstandard compression";
    license = "BSD-3-Clause";
    homepage = "https://facebook.github.io/zstd/";
    cpe = "a:facebook:zstandard";
  };
}
