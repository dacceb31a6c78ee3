# Bracket expressions: classes, ranges, what stands for itself.
map (p: builtins.match p "a-]^b_1 Z.") [ "[]a-]*.*" "[^]]*].*" "[[:alnum:][:punct:] ]*" "[a\\-].*" "[[.hyphen.]a].*" "[[=a=]-].*" ".*[[:upper:]][.]" "[!-~ ]*" "[^b]*b[^b]*" ]
