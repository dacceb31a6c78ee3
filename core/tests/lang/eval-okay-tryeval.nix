let t = builtins.tryEval; in [ (t (throw "x")) (t 1) (t (assert false; 1)) (t <nonexistent-thing>) (t { a = throw "lazy"; }).success (let v = throw "again"; in [ (t v) (t v) ]) ]
