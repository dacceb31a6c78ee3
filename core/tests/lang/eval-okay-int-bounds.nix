[ 9223372036854775807 (-9223372036854775807 - 1) (builtins.bitAnd 12 10) (builtins.bitOr 12 10) (builtins.bitXor 12 10) ]
