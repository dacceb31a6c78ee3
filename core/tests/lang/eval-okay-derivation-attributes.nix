# The set around a derivation.
let
  d = derivation { name = "n"; builder = "b"; system = "s"; outputs = [ "bin" "out" ]; extra = [ 1 "x" ]; };
in
{
  names = builtins.attrNames d;
  inherit (d) name system outputName type extra outputs;
  first = d.outPath == d.bin.outPath;
  others = map (o: o.outputName) d.all;
  same = [ (d == d.bin) (d == d.out) (d.drvPath == d.out.drvPath) (d.drvAttrs.name) ];
  back = d.out.bin.outputName;
  string = "${d}" == d.outPath;
}
