# 400 000 variables found in the innermost or outermost of eight with scopes.
let
  scope = prefix: builtins.listToAttrs (builtins.genList (i: { name = "${prefix}${toString i}"; value = i; }) 200);
in
with scope "a";
with scope "b";
with scope "c";
with scope "d";
with scope "e";
with scope "f";
with scope "g";
with scope "h";
builtins.foldl' (sum: i: sum + a7 + h7 + (if i > 5 then a150 else h150) + d3) 0 (builtins.genList (i: i) 100000)
