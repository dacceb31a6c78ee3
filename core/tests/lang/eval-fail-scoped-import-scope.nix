scopedImport 1 ./data/imported.nix
