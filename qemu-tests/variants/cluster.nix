# Releases of a Kubernetes node that follow a repository, by number, and what of
# the configuration one differs in beside it.
{
  number,
  change ? { ... }: { },
}:
import ./follows.nix {
  inherit number change;
  name = "qemu-k8s";
  more = [ ../../variants/lib/k8s.nix ];
}
