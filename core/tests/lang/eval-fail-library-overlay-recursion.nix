# An overlay whose names depend on the fixed point has none.
let
  fix = f: let x = f x; in x;
  extends = overlay: base: final: let prev = base final; in prev // overlay final prev;
  compose = builtins.foldl' (f: g: final: prev: let one = f final prev; in one // g final (prev // one)) (_: _: { });
  optionalAttrs = condition: set: if condition then set else { };
  base = final: { version = "1"; name = "base-${final.version}"; flags = [ ]; };
  good = [
    (final: prev: { version = "2"; flags = prev.flags ++ [ final.name ]; })
    (final: prev: optionalAttrs (prev.version == "2") { extra = final.flags; })
  ];
  bad = good ++ [
    (final: prev: optionalAttrs (final ? extra) { late = true; })
  ];
  make = overlays: fix (extends (compose overlays) base);
in
assert (make good) == { version = "2"; name = "base-2"; flags = [ "base-2" ]; extra = [ "base-2" ]; };
builtins.attrNames (make bad)
