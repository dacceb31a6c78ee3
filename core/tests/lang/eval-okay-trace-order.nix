builtins.trace "a" (builtins.trace { x = 1; y = [ 1 ]; } (builtins.trace 5 1))
