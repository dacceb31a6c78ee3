builtins.fromJSON ''"\q"''
