# qemu-dev as it follows a repository of the tests, release 2: one of the node's
# programs is another.
import ../follows.nix {
  number = 2;
  packages =
    { pkgs, ... }:
    {
      health = pkgs.health.overrideAttrs (old: {
        buildPhase = ''
          sed -i 's/"still waiting for: /"it still waits for: /' recipes/agents/health/src/main.rs
          grep -q '"it still waits for: ' recipes/agents/health/src/main.rs
          ${old.buildPhase}
        '';
      });
    };
}
