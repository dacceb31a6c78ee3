# Filtering of sources; only the store path shows.
let
  inherit (builtins) baseNameOf filterSource path match;
  bySuffix = suffixes: p: type: type == "directory" || builtins.any (s: match ".*${builtins.replaceStrings [ "." ] [ "\\." ] s}" (baseNameOf p) != null) suffixes;
in
[
  (filterSource (bySuffix [ ".txt" ]) ./data)
  (filterSource (p: t: t == "directory") ./data)
  (path { path = ./data; name = "named"; filter = bySuffix [ ".nix" ]; })
  (path { path = ./data + "/dir"; })
  (path { path = ./data/text.txt; recursive = false; })
  ("${./data/text.txt}" == "${path { path = ./data/text.txt; }}")
  (builtins.attrValues (builtins.getContext "${./data/text.txt}"))
]
