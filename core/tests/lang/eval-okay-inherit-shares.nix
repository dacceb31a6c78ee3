let s = builtins.trace "forced once" { a = 1; b = 2; }; in { inherit (s) a b; }
