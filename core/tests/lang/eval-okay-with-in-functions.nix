# Scopes of a `with` inside functions and sets.
let
  lib = { id = x: x; const = x: y: x; twice = f: x: f (f x); };
in
with lib;
[
  (twice (x: x + 1) 0)
  (rec { a = const 1 2; b = id a; })
  (({ x ? id 3, y ? const x 4 }: [ x y ]) { })
  (let id = 5; in twice (x: x) id)
  { inherit (lib) const; id = id 6; }.id
]
