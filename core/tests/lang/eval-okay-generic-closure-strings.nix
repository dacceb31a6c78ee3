map (x: x.key) (builtins.genericClosure { startSet = [ { key = "a"; } { key = "b"; } ]; operator = { key }: if builtins.stringLength key < 3 then [ { key = key + "x"; } { key = "a"; } ] else [ ]; })
