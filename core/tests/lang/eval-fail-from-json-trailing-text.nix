builtins.fromJSON "[] x"
