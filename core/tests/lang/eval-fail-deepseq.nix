builtins.deepSeq { a = { b = throw "inner"; }; } 1
