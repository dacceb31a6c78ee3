# throw, assert and a missing <x> are caught, through any depth.
map builtins.tryEval [
  1
  (throw "x")
  (assert false; 1)
  (assert 1 == 2; 1)
  <no-such-thing>
  (builtins.deepSeq [ (throw "deep") ] 1)
  (let x = throw "x"; in x + 1)
  (builtins.seq (builtins.tryEval (throw "a")) 2)
  ((x: throw "called") 1)
  (import ./data/imported.nix == null)
  "${throw "interpolated"}"
]
