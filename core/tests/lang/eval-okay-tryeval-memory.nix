# A thunk that failed fails again.
let x = throw "again"; s = { y = x; }; in
[ (builtins.tryEval x) (builtins.tryEval x) (builtins.tryEval s.y) (builtins.tryEval (x + 1)) ]
