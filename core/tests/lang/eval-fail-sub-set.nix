builtins.sub { } 1
