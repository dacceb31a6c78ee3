# Files, directories, strings, scopes.
[
  (import ./data/imported.nix)
  (builtins.attrNames (import ./data/dir))
  (import (./data + "/imported.nix"))
  (import (toString ./data/imported.nix))
  (import ./data/imported.nix == import ./data/imported.nix)
  (scopedImport { x = 1; y = 2; } ./data/scoped.nix)
  (builtins.typeOf (builtins.import ./data/imported.nix))
]
