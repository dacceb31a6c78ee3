# Regular expressions, which libselinux links: from pinned binary packages, only the files that run.
{
  lib,
  glibc,
}:
lib.debPackage {
  pname = "pcre2";
  debs = [
    "libpcre2-8-0"
  ];
  include = [
    "usr/lib/x86_64-linux-gnu/libpcre2-8.so.0*"
  ];
  runtimeInputs = [
    glibc
  ];
  meta = {
    description = "Regular expressions, which libselinux links";
    license = "BSD-3-Clause";
    homepage = "https://www.pcre.org";
    cpe = "a:pcre:pcre2";
  };
}
