# 1 and 1.0 are one key; paths and lists are keys, too.
[
  (map (x: x.key) (builtins.genericClosure { startSet = [ { key = 1; } { key = 1.0; } { key = 2; } ]; operator = x: [ ]; }))
  (map (x: x.key) (builtins.genericClosure { startSet = [ { key = /a; } { key = /b; } { key = /a; } ]; operator = x: [ ]; }))
  (map (x: x.key) (builtins.genericClosure { startSet = [ { key = [ 1 "a" ]; } { key = [ 1 "b" ]; } { key = [ 1.0 "a" ]; } ]; operator = x: [ ]; }))
  (builtins.length (builtins.genericClosure { startSet = [ { key = 0; } ]; operator = x: if x.key < 200 then [ { key = x.key + 1; } { key = x.key + 2; } ] else [ ]; }))
  (builtins.genericClosure { startSet = [ { key = x: x; } ]; operator = x: [ ]; } != [ ])
]
