let l = [ 1 2 3 ]; in [ (builtins.head l) (builtins.tail l) (builtins.length l) (builtins.elemAt l 2) (builtins.elem 2 l) (builtins.concatLists [ l [ ] [ 4 ] ]) (l ++ [ ]) (builtins.tail [ 1 ]) ]
