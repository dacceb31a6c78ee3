# From scopes, from sets, quoted, in let and rec.
let
  a = 1;
  s = { b = 2; c = { d = 3; }; "e f" = 4; };
in
[
  { inherit a; }
  { inherit (s) b c; }
  { inherit (s.c) d; inherit (s) "e f"; }
  (let inherit (s) b; c = b + 1; in c)
  (rec { inherit (s) b; x = b; })
  { inherit; }
  { inherit (s); }
  (let inherit a; in a)
]
