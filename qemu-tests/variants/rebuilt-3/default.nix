# A release of a node that installs only what others made again.
import ../rebuilt.nix { number = 3; }
