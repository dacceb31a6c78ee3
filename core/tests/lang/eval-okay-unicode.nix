[ "ünï" (builtins.stringLength "ü") (builtins.substring 0 2 "ü") (builtins.toJSON "ü😀") { "ü" = 1; } ]
