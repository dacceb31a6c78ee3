# Positions for messages of libraries.
let
  set = {
    a = 1;
    "b c" = 2;
      nested.deep = 3;
    inherit (other) d;
    ${"dynamic"} = 4;
  };
  other = { d = 1; };
  place = name: s: let p = builtins.unsafeGetAttrPos name s; in if p == null then "undetermined position" else "${baseNameOf p.file}:${toString p.line}:${toString p.column}";
in
[
  (map (n: place n set) [ "a" "b c" "nested" "d" "dynamic" "missing" ])
  (place "deep" set.nested)
  (place "a" (set // { b = 1; }))
  (place "a" (removeAttrs set [ "d" ]))
  (place "a" (builtins.mapAttrs (n: v: v) set))
  (place "d" other)
  (place "x" (builtins.functionArgs ({ x, y ? 1 }: x)))
  (place "y" (builtins.functionArgs ({ x, y ? 1 }: x)))
  (place "k" (builtins.listToAttrs [ { name = "k"; value = 1; } ]))
  (place "a" (builtins.intersectAttrs { a = 0; } set))
  (place "g" (builtins.groupBy (x: x) [ "g" ]))
  (place "a" (builtins.zipAttrsWith (n: v: v) [ set ]))
  (place "r" (rec { r = s; s = 1; }))
  (place "x" (builtins.fromJSON ''{"x":1}''))
  __curPos.line
  (builtins.attrNames __curPos)
]
