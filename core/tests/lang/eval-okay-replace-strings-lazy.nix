# Replacements are evaluated only where they are used.
[
  (builtins.replaceStrings [ "a" "b" ] [ "1" (throw "unused") ] "aaa")
  (builtins.replaceStrings [ "" ] [ "." ] "abc")
  (builtins.replaceStrings [ "" "b" ] [ "." "x" ] "abc")
  (builtins.replaceStrings [ "b" "" ] [ "x" "." ] "abc")
  (builtins.replaceStrings [ "aa" "a" ] [ "2" "1" ] "aaaaa")
  (builtins.replaceStrings [ "ab" "b" ] [ "b" "a" ] "abb")
  (builtins.replaceStrings [ ] [ ] "abc")
  (builtins.replaceStrings [ "\n" ] [ "\\n" ] "a\nb")
]
