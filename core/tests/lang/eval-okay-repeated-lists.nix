# A list is repeated where one place holds it twice; a copy is none.
let
  l = [ 1 2 3 ];
  copy = builtins.seq 1 l;
  cyclic = [ 1 cyclic ];
in
[
  [ l l ]
  [ l copy ]
  { a = l; b = copy; c = builtins.addErrorContext "" l; }
  (map (x: x) [ l l ])
  cyclic
  (rec { a = builtins.split "b" "abc"; c = builtins.addErrorContext "x" a; })
  (builtins.attrValues { x = l; y = l; })
  (l ++ [ ] == l)
  [ (l ++ [ ]) l ]
  [ (builtins.tail l) (builtins.tail l) ]
]
