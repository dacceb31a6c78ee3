# The first alternative that reaches the end wins a match; a search is longest.
[
  (builtins.match "(a|ab)(c|bcd)(d*)" "abcd")
  (builtins.match "(a|ab|abc)*" "abcabab")
  (builtins.split "a|ab" "abab")
  (builtins.split "(a)|(b)" "xaybz")
  (builtins.match "x|" "")
  (builtins.match "(x|)y" "y")
  (builtins.match "(|x)+" "xx")
]
