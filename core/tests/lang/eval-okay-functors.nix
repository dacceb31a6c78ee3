# Sets that are called.
let
  counter = { n = 0; __functor = self: x: self // { n = self.n + x; }; };
  add = { __functor = self: a: b: a + b; };
  outer = { __functor = _: add; };
in
[
  ((counter 1) 2).n
  (map (add 1) [ 1 2 ])
  (outer 1 2)
  (builtins.foldl' add 0 [ 1 2 3 ])
  (builtins.isFunction add)
  (builtins.isAttrs add)
  (builtins.typeOf add)
  (builtins.sort { __functor = self: a: b: a > b; } [ 1 3 2 ])
  (builtins.filter { __functor = self: x: x > 1; limit = 1; } [ 1 2 ])
]
