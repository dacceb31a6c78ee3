# Rising and falling runs, longer than what insertion takes.
let
  inherit (builtins) genList sort lessThan;
  up = n: genList (i: i) n;
  down = n: genList (i: n - i) n;
in
[
  (sort lessThan (up 20) == up 20)
  (sort lessThan (down 20))
  (sort lessThan (up 12 ++ down 12 ++ up 12))
  (sort (a: b: b < a) (up 18 ++ up 18))
  (sort (a: b: a.k < b.k) (genList (i: { k = i / 10; inherit i; }) 25) == genList (i: { k = i / 10; inherit i; }) 25)
  (sort lessThan [ 2 1.5 (-1) 1 1.0 ])
  (sort lessThan [ "b" "a" "B" "é" "" "ab" ])
  (sort lessThan [ [ 2 ] [ ] [ 1 2 ] [ 1 ] ])
  (sort lessThan [ /b /a /a/b ])
]
