builtins.findFile "x" "y"
