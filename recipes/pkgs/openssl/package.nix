# OpenSSL's libraries: from pinned binary packages, only the files that run.
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
    "usr/lib/x86_64-linux-gnu/libssl.so.3"
  ];
  runtimeInputs = [
    glibc
    zlib
    zstd
  ];
  meta = {
    description = "Cryptography and TLS";
    license = "Apache-2.0";
    homepage = "https://www.openssl.org";
    cpe = "a:openssl:openssl";
  };
}
