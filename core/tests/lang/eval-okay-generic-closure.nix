map (x: x.key) (builtins.genericClosure { startSet = [ { key = 5; } ]; operator = { key }: if key > 0 then [ { key = key - 1; } { key = key - 1.0; } ] else [ ]; })
