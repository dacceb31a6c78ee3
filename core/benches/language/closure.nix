# The closure of a graph of 200 000 nodes with keys that are strings.
let
  count = 200000;
  node = i: { key = "n${toString i}"; inherit i; };
in
builtins.length (
  builtins.genericClosure {
    startSet = [ (node 0) ];
    operator =
      x:
      builtins.filter (y: y.i < count) [
        (node (2 * x.i + 1))
        (node (2 * x.i + 2))
        (node (x.i / 2))
      ];
  }
)
