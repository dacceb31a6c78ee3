[ (builtins.seq 1 2) (builtins.deepSeq { a = [ 1 ]; } 3) (builtins.seq { a = throw "no"; } 4) (builtins.tryEval (builtins.deepSeq [ (throw "deep") ] 1)) ]
