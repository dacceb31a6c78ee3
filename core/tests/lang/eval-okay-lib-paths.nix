# Joining and comparing of paths.
let
  here = ./data;
  inherit (builtins) baseNameOf dirOf pathExists readDir typeOf;
  append = p: s: p + ("/" + s);
  hasPrefix = a: b: a == b || (dirOf b != b && hasPrefix a (dirOf b));
in
[
  (append /a "b/c")
  (append /a "../b")
  (/a + "b")
  (/a/b + "/../c")
  (/. + "a")
  (/. + "/a//b/")
  (map typeOf [ (/a + "b") ("a" + ./data/text.txt) (dirOf /a) (dirOf "/a") ])
  [ (hasPrefix /a /a/b/c) (hasPrefix /a /ab) (hasPrefix /. /x) ]
  [ (/a < /b) (/a == /a/.) (/a/b < /a) (/a + "" == /a) ]
  (toString /a/b)
  (map baseNameOf [ /a/b.c "/a/b.c" "x" "a/b/" /. ])
  (readDir ./data/dir)
  (map pathExists [ here (here + "/dir") (here + "/none") (here + "/text.txt") ])
  (/${"a"}/b + "/${"c"}")
  (baseNameOf ./data/../data/text.txt)
]
