# Built-in functions that wait for more.
let
  inherit (builtins) add foldl' map elemAt typeOf isFunction;
in
[ ((add 1) 2) (map (elemAt [ "a" "b" ]) [ 1 0 ]) ((foldl' add) 0 [ 1 2 ]) (typeOf (add 1)) (isFunction (foldl' add 0)) (map (f: f 1) [ (add 1) (builtins.sub 5) (builtins.lessThan 0) ]) ]
