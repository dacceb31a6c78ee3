builtins.toFile "x" { }
