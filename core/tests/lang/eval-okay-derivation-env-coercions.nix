# What attributes become in the environment shows in the path.
let
  path = more: (derivation ({ name = "n"; builder = "b"; system = "s"; } // more)).drvPath;
in
[
  (path { a = true; } == path { a = "1"; })
  (path { a = false; } == path { a = ""; })
  (path { a = null; } == path { a = ""; })
  (path { a = [ 1 [ 2 ] "x" ]; } == path { a = "1 2 x"; })
  (path { a = 1.5; } == path { a = "1.500000"; })
  (path { a = { outPath = "x"; }; } == path { a = "x"; })
  (path { a = { __toString = self: "x"; }; } == path { a = "x"; })
  (path { a = null; __ignoreNulls = true; } == path { __ignoreNulls = true; })
  (path { } == path { a = ""; })
]
