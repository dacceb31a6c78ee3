builtins.attrValues (builtins.intersectAttrs { b = 1; a = 1; } { a = "A"; b = "B"; c = "C"; })
