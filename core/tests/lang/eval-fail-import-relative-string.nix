import "data/imported.nix"
