# The kernel panics: it is told of a first program that is not there.
import ../follows.nix {
  number = 11;
  change = _: {
    kernel.commandLine = [
      {
        word = "init=/usr/lib/osbuild/missing";
        reason = "the last word counts";
      }
    ];
  };
}
