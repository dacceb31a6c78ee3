builtins.div (throw "left") 0
