# Two's complement.
[ (builtins.bitAnd 12 10) (builtins.bitOr 12 10) (builtins.bitXor 12 10) (builtins.bitAnd (-1) 255) (builtins.bitXor (-1) 0) (builtins.bitOr (-8) 3) (9223372036854775807 + 0) (-9223372036854775807 - 1) (7 / (-2)) ((-7) / 2) ]
