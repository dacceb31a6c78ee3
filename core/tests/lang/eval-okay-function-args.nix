[ (builtins.functionArgs ({ a, b ? 1 }: a)) (builtins.functionArgs (x: x)) (builtins.functionArgs ({ a ? 1, ... }@x: x)) (builtins.functionArgs builtins.add) ]
