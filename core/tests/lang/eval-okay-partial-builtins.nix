[ (builtins.map (builtins.add 1) [ 1 2 ]) (builtins.typeOf (builtins.add 1)) ((builtins.foldl' builtins.add) 0 [ 1 2 ]) (builtins.sub 3 1) ]
