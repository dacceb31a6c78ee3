[ (builtins.toFile "hello" "world") (builtins.toFile "ref" "see ${builtins.toFile "a" "b"}") ]
