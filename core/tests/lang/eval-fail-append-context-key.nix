builtins.appendContext "a" { "not a path" = { path = true; }; }
