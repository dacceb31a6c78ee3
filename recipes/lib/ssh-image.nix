# Images of host containers that are reached by SSH.
lib: {
  sshImage =
    {
      pname,
      description,
      # The port that it is reached at, on the node's addresses.
      port,
      # The pinned packages of its root, and what is left out of them.
      lock,
      exclude ? [ ],
      # What those who log in run.
      shell,
      # Programs besides: path → source.
      programs,
      ssh-start,
    }:
    lib.ociImage {
      inherit pname;
      reference = "osbuild.local/${builtins.head (builtins.split "-image" pname)}:1";
      root = lib.unpackDebs {
        name = "${pname}-root";
        debs = lib.debs lock;
        exclude = [
          "usr/share/doc/**"
          "usr/share/man/**"
          "usr/share/info/**"
          "usr/share/locale/**"
          "usr/share/lintian/**"
          "usr/share/bug/**"
        ]
        ++ exclude;
        # What maintainer scripts would have made.
        files = {
          "etc/passwd" = "root:x:0:0:root:/root:${shell}\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n";
          "etc/group" = "root:x:0:\nnogroup:x:65534:\n";
          "etc/nsswitch.conf" = "passwd: files\ngroup: files\nhosts: files dns\n";
          # Keys alone, and nothing that the container could not do by itself.
          "etc/ssh/osbuild_config" = ''
            Port ${toString port}
            HostKey /.osbuild/kept/ssh_host_ed25519_key
            AuthorizedKeysFile /root/.ssh/authorized_keys
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            UsePAM no
            AllowTcpForwarding no
            X11Forwarding no
            PrintMotd no
          '';
        };
      };
      files = programs // {
        "usr/bin/ssh-start" = "${ssh-start}/usr/bin/ssh-start";
      };
      entrypoint = [ "/usr/bin/ssh-start" ];
      sources = lib.debs lock;
      inherit (ssh-start) crates;
      meta = {
        inherit description;
        license = "MIT OR Apache-2.0";
        homepage = null;
      };
    };
}
