# Innermost first, lexical names before all of them.
let
  a = "lexical";
  s = { a = "with"; b = 1; };
in
[
  (with s; a)
  (with s; b)
  (with s; with { b = 2; c = 3; }; [ a b c ])
  (with { b = 1; }; let b = 2; in b)
  (let b = 0; in with { b = 1; }; b)
  (with { s = { b = 5; }; }; with s; b)
  (with { x = with { y = 6; }; y; }; x)
  ((b: with { b = 7; }; b) 8)
  (with { __toString = 1; }; 9)
  (with s // { d = 10; }; d)
]
