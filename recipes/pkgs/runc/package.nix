# The OCI runtime, static, with libseccomp.
{ lib }:
let
  source = lib.upstreamSource {
    lock = "sources";
    package = "runc";
  };
  inherit (source) version;
  importPath = "github.com/opencontainers/runc";
in
lib.buildGo {
  pname = "runc";
  inherit version importPath;
  inherit (source) src packaging;
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
    cpe = "a:linuxfoundation:runc";
  };
}
