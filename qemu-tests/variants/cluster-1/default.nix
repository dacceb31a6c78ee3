# A Kubernetes node as it follows a repository of the tests, release 1.
import ../cluster.nix { number = 1; }
