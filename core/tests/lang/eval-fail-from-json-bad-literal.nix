builtins.fromJSON "[true, fals]"
