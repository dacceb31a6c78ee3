# The kernel panics: it is told of a first program that is not there.
_: {
  kernel.commandLine = [
    {
      word = "init=/usr/lib/osbuild/missing";
      reason = "the last word counts";
    }
  ];
}
