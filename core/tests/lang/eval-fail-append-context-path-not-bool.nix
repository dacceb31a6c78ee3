builtins.appendContext "a" { ${builtins.unsafeDiscardStringContext (builtins.toFile "f" "x")} = { path = 1; }; }
