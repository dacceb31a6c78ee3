builtins.fromJSON "[[1]"
