# The words name the byte that cannot follow.
builtins.toJSON { x = builtins.substring 1 1 "é"; }
