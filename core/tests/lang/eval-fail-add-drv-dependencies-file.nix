builtins.addDrvOutputDependencies (builtins.toFile "f" "x")
