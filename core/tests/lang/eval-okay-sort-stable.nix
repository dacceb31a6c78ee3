# Equal items stay in order.
let
  people = [ { n = "d"; age = 3; } { n = "a"; age = 1; } { n = "c"; age = 3; } { n = "b"; age = 1; } { n = "e"; age = 2; } ];
in
map (p: p.n) (builtins.sort (a: b: a.age < b.age) people)
