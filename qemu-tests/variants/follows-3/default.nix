# qemu-dev as it follows a repository of the tests, release 3.
import ../follows.nix { number = 3; }
