# Nested definitions join.
[
  { a.b = 1; a.c = 2; }
  { a = { b = 1; }; a.c = 2; }
  { a.b.c = 1; a.b.d.e = 2; a.f = 3; }
  { a = { b = 1; }; a = { c = 2; }; }
  (rec { a.b = c; c = 1; a.d = a.b; })
  { "a".b = 1; a."c" = 2; }
  (let a.b = 1; a.c = 2; in a)
]
