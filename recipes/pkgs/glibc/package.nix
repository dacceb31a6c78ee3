# The GNU C library: the loader and the libraries that programs link: from pinned binary packages, only the files that run.
{ lib }:
lib.debPackage {
  pname = "glibc";
  debs = [
    "libc6"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    "usr/lib/x86_64-linux-gnu/libc.so.6"
    "usr/lib/x86_64-linux-gnu/libm.so.6"
    "usr/lib/x86_64-linux-gnu/libmvec.so.1"
    "usr/lib/x86_64-linux-gnu/libpthread.so.0"
    "usr/lib/x86_64-linux-gnu/libdl.so.2"
    "usr/lib/x86_64-linux-gnu/librt.so.1"
    "usr/lib/x86_64-linux-gnu/libresolv.so.2"
    "usr/lib/x86_64-linux-gnu/libnss_files.so.2"
    "usr/lib/x86_64-linux-gnu/libnss_dns.so.2"
    "usr/lib64/ld-linux-x86-64.so.2"
  ];
  meta = {
    description = "The GNU C library: the loader and the libraries that programs link";
    license = "LGPL-2.1-or-later";
    homepage = "https://www.gnu.org/software/libc/";
    cpe = "a:gnu:glibc";
  };
}
