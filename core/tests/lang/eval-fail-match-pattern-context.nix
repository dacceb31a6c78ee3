builtins.match (builtins.toFile "p" "x") "a"
