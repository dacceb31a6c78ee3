# The roots that builds run in, each unpacked from one lock file.
lib:
let
  # Documentation is a twentieth of the bytes and is never read.
  exclude = [
    "usr/share/doc/**"
    "usr/share/man/**"
    "usr/share/info/**"
    "usr/share/locale/**"
    "usr/share/lintian/**"
    "usr/share/bug/**"
  ];

  # What maintainer scripts would have linked.
  commonLinks = {
    "usr/bin/awk" = "gawk";
    "usr/bin/cc" = "gcc";
  };

  root =
    name: links:
    lib.unpackDebs {
      name = "sdk-${name}";
      debs = lib.debs "sdk-${name}";
      inherit exclude;
      links = commonLinks // links;
    };
in
{
  sdk = {
    # C, and what a kernel build runs.
    c = root "c" { "usr/bin/yacc" = "bison.yacc"; };
    go = root "go" { };
    # A newer compiler and newer libraries than the stable suite has. Its suite
    # drops versions within weeks, so only what must is built in it. The lock
    # leaves out libraries that no package built here imports and that bring
    # half of the suite (`request.exclude`): 218 MB instead of 437.
    go-2 = root "go-2" { };
    rust = root "rust" { };
  };
}
