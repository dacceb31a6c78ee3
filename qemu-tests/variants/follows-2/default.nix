# qemu-dev as it follows a repository of the tests, release 2: one of the node's
# programs is another.
import ../follows.nix {
  number = 2;
  packages =
    { pkgs, ... }:
    {
      hostctl = pkgs.hostctl.overrideAttrs (old: {
        buildPhase = ''
          sed -i 's/^\/\/\/ Ask and tell this node$/\/\/\/ Tell and ask this node/' recipes/agents/hostctl/src/main.rs
          grep -q 'Tell and ask' recipes/agents/hostctl/src/main.rs
          ${old.buildPhase}
        '';
      });
    };
}
