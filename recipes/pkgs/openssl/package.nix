# OpenSSL's cryptography library: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
  zlib,
  zstd,
}:
lib.debPackage {
  pname = "openssl";
  debs = [
    "libssl3t64"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libcrypto.so.3"
  ];
  runtimeInputs = [
    glibc
    zlib
    zstd
  ];
  meta = {
    description = "OpenSSL's cryptography library";
    license = "Apache-2.0";
    homepage = "https://www.openssl.org";
  };
}
