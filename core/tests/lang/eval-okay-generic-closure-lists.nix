map (x: x.key) (builtins.genericClosure { startSet = [ { key = [ 1 2 ]; } ]; operator = { key }: if builtins.length key < 4 then [ { key = key ++ [ 0 ]; } { key = [ 1 2 ]; } ] else [ ]; })
