builtins.appendContext "a" { ${builtins.unsafeDiscardStringContext (builtins.toFile "f" "x")} = { outputs = [ "out" ]; }; }
