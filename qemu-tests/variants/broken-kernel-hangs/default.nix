# The kernel waits for a root device that never comes, before any program runs.
import ../follows.nix {
  number = 12;
  change = _: {
    kernel.commandLine =
      map
        (word: {
          inherit word;
          reason = "there is one mapped device, and the last word counts";
        })
        [
          "root=/dev/dm-1"
          "rootwait"
        ];
  };
}
