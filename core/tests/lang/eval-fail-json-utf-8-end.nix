# The words name the byte that cannot follow.
builtins.toJSON { x = "é" + builtins.substring 0 2 "€"; }
