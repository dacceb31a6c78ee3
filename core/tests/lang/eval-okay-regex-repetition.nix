# Counts, nesting, empty repetitions.
[
  (builtins.match "a{2}" "aa")
  (builtins.match "a{2,}" "aaaa")
  (builtins.match "(a{1,2}){2}" "aaa")
  (builtins.match "(a*)*" "aaa")
  (builtins.match "(a*)+" "aaa")
  (builtins.match "((a)|(b))*" "ab")
  (builtins.match "(a?)*b" "aab")
  (builtins.match "(ab|c){0,3}" "abcab")
  (builtins.match "a**" "aaa")
  (builtins.match "(.*)(.*)" "xy")
  (builtins.match "a{0}" "")
]
