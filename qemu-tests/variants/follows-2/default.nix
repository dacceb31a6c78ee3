# qemu-dev as it follows a repository of the tests, release 2.
import ../follows.nix { number = 2; }
