# The OCI runtime, static, with libseccomp.
{ lib }:
let
  file =
    pattern:
    lib.lockedSource {
      lock = "sources";
      package = "runc";
      file = pattern;
    };
  orig = file ".*\\.orig\\.tar\\.xz";
  packaging = file ".*\\.debian\\.tar\\.xz";
  version = builtins.head (builtins.match "([0-9.]+).*" orig.version);
  importPath = "github.com/opencontainers/runc";
in
lib.buildGo {
  pname = "runc";
  inherit version importPath;
  inherit (orig) src;
  packaging = packaging.src;
  programs.runc = ".";
  # The part that enters namespaces is C, run before Go starts.
  cgo = true;
  tags = [
    "seccomp"
    "urfave_cli_no_docs"
    "netgo"
    "osusergo"
  ];
  extraLinkerFlags = "-extldflags -static";
  variables."main.version" = version;
  meta = {
    description = "OCI container runtime";
    license = "Apache-2.0";
    homepage = "https://github.com/opencontainers/runc";
    cpe = "cpe:2.3:a:linuxfoundation:runc:${version}:*:*:*:*:*:*:*";
  };
}
