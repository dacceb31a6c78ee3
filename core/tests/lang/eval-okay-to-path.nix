[ (builtins.toPath "/a/../b") (builtins.isString (builtins.toPath "/x")) ]
