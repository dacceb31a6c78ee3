# qemu-dev as it follows a repository of the tests, release 20: nothing is wrong
# with it.
import ../follows.nix { number = 20; }
