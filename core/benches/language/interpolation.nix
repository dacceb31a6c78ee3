# 300 000 strings with four interpolations each.
let
  range = builtins.genList (i: i);
  flag = i: "--${if i > 1000 then "long" else "short"}-option=${toString i}";
  line = i: "${flag i} \"${flag (i + 1)}\" # ${toString (i * 3)}\n${"  "}${flag 7}";
in
builtins.foldl' (sum: i: sum + builtins.stringLength (line i)) 0 (range 75000)
