# The sequence of comparisons shows in the result.
let
  inherit (builtins) genList sort bitAnd;
  list = n: genList (i: bitAnd (i * 37 + 11) 63) n;
  same = genList (i: i) 20;
in
[
  (sort (_: _: true) [ 1 2 3 4 5 6 7 ])
  (sort (_: _: false) [ 3 1 2 ])
  (sort (_: _: true) same)
  (sort (a: b: bitAnd (a * 7 + b * 13) 1 == 1) (list 40))
  (sort (a: b: a <= b) (list 50))
  (sort (a: b: bitAnd (a - b) 4 == 4) (list 33))
]
