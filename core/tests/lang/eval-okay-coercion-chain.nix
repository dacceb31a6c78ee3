# __toString before outPath; each may return another that coerces.
let
  inner = { __toString = self: "inner"; };
  outer = { __toString = self: inner; outPath = throw "not used"; };
  path = { outPath = { outPath = "deep"; }; };
in
[ "${outer}" (toString outer) "${path}" (builtins.concatStringsSep "," [ inner path "x" ]) (builtins.stringLength path) (baseNameOf path) ("a" + inner) (builtins.substring 0 2 outer) (toString [ inner [ path ] ]) ]
