# An attribute's name comes before what it holds.
let unused = { outer = { inner = 1; }; }; in
{ inner = throw "inner"; outer = throw "outer"; }
