let l = [ (throw "a") ] ++ [ 1 ]; in builtins.elemAt l 1
