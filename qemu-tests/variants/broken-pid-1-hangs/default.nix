# The service manager freezes, as it does when it crashes: nobody feeds the
# watchdog.
import ../breaks.nix {
  number = 13;
  description = "Crashes the service manager";
  words = "kill --signal=SEGV init.scope";
}
