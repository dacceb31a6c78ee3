# A release that follows a repository, and whose kernel panics.
import ../follows.nix {
  number = 11;
  change = import ../panics.nix;
}
