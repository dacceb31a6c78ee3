# A thunk is evaluated once: one line on standard error each.
let
  x = builtins.trace "once" 1;
  f = y: y + y;
  s = { inherit (builtins.trace "from" { a = 1; b = 2; }) a b; };
in
[ (x + x) (f x) (s.a + s.b) (let l = [ x x ]; in builtins.foldl' (a: b: a + b) 0 l) ]
