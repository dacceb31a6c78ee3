# A release that follows a repository, and takes no notice of how the start before
# ended.
import ../follows.nix {
  number = 2;
  packages =
    { pkgs, ... }:
    {
      health = pkgs.health.overrideAttrs (_: {
        patches = [ ./trusts-cuts.patch ];
      });
    };
}
