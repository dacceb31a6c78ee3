builtins.foldl' (a: f: f a) 1 [ (builtins.add 1) (builtins.mul 10) (builtins.sub 100) ]
