# The admin container: a shell and tools for a person who looks after a node,
# reached by SSH. The host has neither.
{ lib, hostctl }:
let
  here = lib.source {
    name = "admin-files";
    root = ./.;
    include = [
      "sshd_config"
      "start.sh"
    ];
  };
in
lib.ociImage {
  pname = "admin-image";
  reference = "osbuild.local/admin:1";
  root = lib.unpackDebs {
    name = "admin-root";
    debs = lib.debs "admin";
    exclude = [
      "usr/share/doc/**"
      "usr/share/man/**"
      "usr/share/info/**"
      "usr/share/locale/**"
      "usr/share/lintian/**"
      "usr/share/bug/**"
    ];
    # What maintainer scripts would have made.
    files = {
      "etc/passwd" = "root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n";
      "etc/group" = "root:x:0:\nnogroup:x:65534:\n";
      "etc/nsswitch.conf" = "passwd: files\ngroup: files\nhosts: files dns\n";
    };
  };
  files = {
    "usr/bin/hostctl" = "${hostctl}/usr/bin/hostctl";
    "usr/sbin/start" = "${here}/start.sh";
    "etc/ssh/osbuild_config" = "${here}/sshd_config";
  };
  entrypoint = [ "/usr/sbin/start" ];
  meta = {
    description = "The admin container: a shell and tools, reached by SSH";
    license = "MIT OR Apache-2.0";
    homepage = null;
  };
}
