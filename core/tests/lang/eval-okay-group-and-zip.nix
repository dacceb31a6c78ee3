# Groups keep the order of the list.
[
  (builtins.groupBy (x: if x > 2 then "big" else "small") [ 3 1 4 2 5 ])
  (builtins.groupBy builtins.typeOf [ 1 "a" 2.0 null 3 ])
  (builtins.groupBy (x: "") [ ])
  (builtins.zipAttrsWith (n: vs: { inherit n vs; }) [ { a = 1; b = 2; } { } { b = 3; c = 4; } ])
  (builtins.zipAttrsWith (n: vs: builtins.head vs) [ ])
  (builtins.partition (x: x > 1) [ 1 2 3 ])
  (builtins.catAttrs "a" [ { a = 1; } { } { a = null; } ])
  (builtins.intersectAttrs { a = 1; b = 2; } { b = 3; c = 4; })
]
