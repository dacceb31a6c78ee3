[ (builtins.groupBy (x: if x > 2 then "big" else "small") [ 1 2 3 4 ]) (builtins.zipAttrsWith (n: vs: { inherit n vs; }) [ { a = 1; b = 2; } { a = 3; } ]) (builtins.zipAttrsWith (n: vs: 1) [ ]) ]
