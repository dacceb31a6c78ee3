# A service of the node fails at every start.
import ../breaks.nix {
  number = 15;
  description = "Fails";
  words = "start does-not-exist.service";
  deadlineSeconds = 60;
}
