# A Kubernetes node as it follows a repository of the tests, release 3: its kernel
# panics.
import ../cluster.nix {
  number = 3;
  change = import ../panics.nix;
}
