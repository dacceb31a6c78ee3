# Prefixes, the empty prefix, the first that has it.
let
  places = [ { path = ./data; prefix = "d"; } { path = ./data/dir; prefix = ""; } { path = ./data; prefix = "d/dir"; } ];
  found = name: let r = builtins.tryEval (builtins.findFile places name); in r.success && baseNameOf (toString r.value) == baseNameOf name || r.success;
in
map found [ "d/text.txt" "d/dir" "sub" "d/none" "none" "dx" "d" "d/dir/sub" ]
