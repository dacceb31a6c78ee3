# Names that are not keywords may be bound anew.
[ (let true = 0; in true) (let null = 1; in null) (let map = x: x; in map 2) (let builtins = { add = 3; }; in builtins.add) (let toString = x: "mine"; in toString 1) ((throw: throw) 4) (let __sub = a: b: "minus"; in 1 - 2) (let __lessThan = a: b: true; in [ (2 < 1) (1 > 2) (1 >= 2) ]) (rec { import = 5; x = import; }.x) ]
