builtins.filter (n: !(builtins.elem n [ "flakeRefToString" "getFlake" "parseFlakeRef" ])) (builtins.attrNames builtins)
