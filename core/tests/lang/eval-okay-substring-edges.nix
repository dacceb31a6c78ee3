# Lengths below zero mean the rest; beyond the end is nothing.
[ (builtins.substring 0 0 "abc") (builtins.substring 1 (-1) "abc") (builtins.substring 3 1 "abc") (builtins.substring 9 1 "abc") (builtins.substring 1 9223372036854775807 "abc") (builtins.substring 0 2 "é") (builtins.substring 0 1 { outPath = "set"; }) ]
