[ (builtins.pathExists "/") (builtins.pathExists "/surely/not") ]
