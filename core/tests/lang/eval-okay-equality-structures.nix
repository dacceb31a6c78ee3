# By structure; functions only by identity inside of something.
let
  f = x: x;
  d = n: { type = "derivation"; outPath = n; other = n + "x"; };
in
[
  ({ a = [ 1 { b = 2; } ]; } == { a = [ 1.0 { b = 2; } ]; })
  ([ f ] == [ f ])
  ({ inherit f; } == { inherit f; })
  (f == f)
  ([ f ] == [ (x: x) ])
  (d "a" == d "a" // { other = "y"; })
  (d "a" == d "b")
  ("a" == /a)
  (null == { })
  ([ ] == { })
  ("${"a"}b" == "ab")
  ({ } == { })
  (1 == true)
  ({ a = 1; } != { a = 1; b = 2; })
  (builtins.elem f [ f ])
]
