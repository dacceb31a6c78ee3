# Unwinding, which glibc loads when a thread is cancelled: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
}:
lib.debPackage {
  pname = "libgcc";
  debs = [
    "libgcc-s1"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libgcc_s.so.1"
  ];
  runtimeInputs = [
    glibc
  ];
  meta = {
    description = "Unwinding, which glibc loads when a thread is cancelled";
    license = "GPL-3.0-or-later WITH GCC-exception-3.1";
    homepage = "https://gcc.gnu.org";
    cpe = "a:gnu:gcc";
  };
}
