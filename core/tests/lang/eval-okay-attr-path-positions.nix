let s = { aaa.b = 1; aaa.c.d = 2; "x".y.z = 3; ${"dy" + ""}.k = 1; };
    at = n: v: let p = builtins.unsafeGetAttrPos n v; in "${toString p.line}:${toString p.column}";
in [ (at "aaa" s) (at "b" s.aaa) (at "c" s.aaa) (at "d" s.aaa.c) (at "z" s.x.y) (at "dy" s) (at "k" s.dy) ]
