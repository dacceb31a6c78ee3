builtins.fromJSON "{a"
