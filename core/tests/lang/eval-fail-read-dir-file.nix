builtins.readDir /dev/null
