builtins.stringLength (builtins.foldl' (acc: i: acc + "xxxxxxxxxx") "" (builtins.genList (x: x) 20000))
