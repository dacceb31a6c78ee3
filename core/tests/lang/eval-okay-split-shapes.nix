# Empty matches step by one; groups stand between the parts.
[
  (builtins.split "" "ab")
  (builtins.split "x*" "axb")
  (builtins.split "(x)?" "axb")
  (builtins.split "," "")
  (builtins.split "," ",")
  (builtins.split "([,;])( *)" "a, b;c")
  (builtins.split "a" "aaa")
  (builtins.split "(.)(.)?" "abc")
]
