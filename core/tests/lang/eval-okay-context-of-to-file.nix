# toFile's references are those of its text.
let
  inner = builtins.toFile "inner" "x";
  outer = builtins.toFile "outer" "see ${inner}";
in
[ inner outer (builtins.attrNames (builtins.getContext outer) == [ (builtins.unsafeDiscardStringContext outer) ]) (builtins.hasContext (builtins.toFile "plain" "")) ]
