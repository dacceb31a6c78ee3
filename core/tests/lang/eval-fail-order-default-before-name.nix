# A default is read before the name that it is for.
let f = { given ? fallback, last, ... }@all: given; fallback = 1; in
assert f { last = 1; } == 1;
{ all = 1; given = throw "given"; fallback = throw "fallback"; last = throw "last"; }
