let f = { __functor = self: x: self.k + x; k = 10; }; in [ (f 1) (map f [ 1 2 ]) (builtins.isFunction f) ({ __functor = self: { __functor = s: y: y; }; } 3) ]
