# Releases of a node that installs only what two of three others made again, by
# number.
{ number }:
import ./follows.nix {
  inherit number;
  change =
    { ... }:
    {
      update.rebuilders = {
        threshold = 2;
        keys = [
          ../fleet/rebuilders/alice.pub
          ../fleet/rebuilders/bob.pub
          ../fleet/rebuilders/carol.pub
        ];
      };
    };
}
