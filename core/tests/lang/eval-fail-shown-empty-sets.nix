# All empty sets are one when it is shown, empty lists are not.
let set = { a = { }; b = builtins.intersectAttrs { } { x = 1; }; c = [ ]; d = [ ]; }; in
builtins.deepSeq set (builtins.head set)
