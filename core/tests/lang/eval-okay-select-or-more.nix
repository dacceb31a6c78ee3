# `or` for what is missing anywhere on the path.
[
  ({ }.a or 1)
  ({ a = { }; }.a.b or 2)
  ({ a = 1; }.a.b or 3)
  (1.5.a or 4)
  (null.a.b or 5)
  ({ a.b = 6; }.a.b or (throw "unused"))
  ({ a = 7; }.${"a"} or 0)
  ({ }.a.b.c.d or { }.e or 8)
  ((x: x) { }.a or 10)
]
