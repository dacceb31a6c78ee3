# A Kubernetes node as it follows a repository of the tests, release 2.
import ../cluster.nix { number = 2; }
