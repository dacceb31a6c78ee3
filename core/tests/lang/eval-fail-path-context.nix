./. + builtins.toFile "a" "b"
