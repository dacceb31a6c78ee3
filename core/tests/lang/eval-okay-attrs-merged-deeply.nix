# Literal sets of one name are joined, and so are the sets in them, since Nix
# 2.34; the first decides whether members see each other.
let
  q = { z = 3; w = 4; };
  y = "outer";
in
{
  literal = { a = { b = { x = 1; }; }; a = { b = { y = 2; }; }; };
  path = { a.b.x = 1; a = { b = { y = 2; }; }; };
  paths = { a = { b.x = 1; }; a = { b.y = 2; }; };
  deep = { a.b.c.x = 1; a = { b = { c = { y = 2; }; }; }; };
  beside = { a = { b = { x = 1; c = { d = 1; }; }; e = 1; }; a = { b = { y = 2; c = { f = 2; }; }; g = 1; }; };
  recursive = { a = rec { b = { x = 1; }; z = b.x + b.y; }; a = { b = { y = 2; }; }; };
  inner = { a = { b = rec { x = 1; z = y; }; }; a = { b = { y = 2; }; }; };
  not = { a = { b = { x = y; }; }; a = rec { b = rec { y = 2; z = y; }; }; };
  dynamic = { a = { b = { ${"x" + ""} = 1; }; }; a = { b = { ${"y" + ""} = 1; }; }; };
  inherited = { a = { b = { inherit (q) z; }; }; a = { b = { inherit (q) w; inherit y; }; }; };
  variables = let a = { b = { x = 1; }; }; a = { b = { y = 2; }; }; in a;
  thrice = { a = { b = { x = 1; }; }; a.b.y = 2; a = { b = { z = 3; }; }; };
  positions = map (n: removeAttrs (builtins.unsafeGetAttrPos n (let a = { b = { x = 1; }; };
      a = { b = { y = 2; }; }; in a.b)) [ "file" ]) [ "x" "y" ];
}
