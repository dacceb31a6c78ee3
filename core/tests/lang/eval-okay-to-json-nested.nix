# Sets by name, derivations and what coerces as strings.
builtins.toJSON {
  z = [ 1 null true "x" ];
  a = { "b c" = { }; };
  method = { __toString = self: "s${self.x}"; x = "1"; };
  path = { outPath = "/out"; ignored = x: x; };
  nested = { outPath = { outPath = "deep"; }; };
  control = "a\tb\nc\rd\"e\\f";
  unicode = "é€😀";
}
