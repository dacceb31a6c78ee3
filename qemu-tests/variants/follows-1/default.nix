# qemu-dev as it follows a repository of the tests, release 1.
import ../follows.nix { number = 1; }
