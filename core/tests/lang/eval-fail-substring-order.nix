builtins.substring (-1) (throw "length") (throw "string")
