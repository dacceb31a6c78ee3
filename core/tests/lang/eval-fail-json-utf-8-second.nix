# The words name the byte that cannot follow.
builtins.toJSON { x = "aé" + builtins.substring 0 1 "é" + "("; }
