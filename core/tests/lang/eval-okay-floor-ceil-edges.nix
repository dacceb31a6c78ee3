# Toward the smaller, toward the larger.
[ (builtins.floor 1.5) (builtins.floor (-1.5)) (builtins.ceil 1.2) (builtins.ceil (-1.2)) (builtins.floor (-0.5)) (builtins.ceil (-0.5)) (builtins.floor 3) (builtins.ceil (-3)) (builtins.floor 1.0e18) (builtins.floor 9007199254740992) ]
