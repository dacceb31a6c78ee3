let deep = builtins.foldl' (acc: _: [ acc ]) [ ] (builtins.genList (x: x) 5000); in builtins.length deep
