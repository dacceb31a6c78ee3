# Names computed, nested, quoted, null.
let
  n = "dyn";
  make = name: { ${name} = 1; };
in
[
  { ${n} = 1; ${n + "2"}.x = 2; "a${n}" = 3; }
  { a.${n}.b = 1; a.c = 2; }
  { ${null} = throw "dropped"; kept = 1; }
  (make "x").x
  { ${n} = 1; }.${n}
  ({ a.dyn = 1; } ? a.${n})
  (rec { ${n} = 1; other = 2; })
  { "x.y" = 1; }."x.y"
  { inherit ({ "a b" = 1; }) "a b"; }
  (let ${"v"} = 1; in v)
  { a = { b = 1; }; ${n} = { }; }.${n}
]
