# A growing accumulator.
let
  text = builtins.foldl' (acc: i: acc + toString i + ",") "" (builtins.genList (i: i) 2000);
in
[ (builtins.stringLength text) (builtins.hashString "sha256" text) (builtins.substring 0 12 text) ]
