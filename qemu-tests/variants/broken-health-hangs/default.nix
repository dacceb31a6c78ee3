# The judge of health is stopped, and says nothing any more.
import ../breaks.nix {
  number = 14;
  description = "Stops the judge of health";
  words = "kill --signal=STOP --kill-whom=main osbuild-health.service";
}
