# What `derivation` adds is in a file of its own; what it was given stays where it is.
let
  drv = derivation { name = "n"; builder = "b"; system = "s"; outputs = [ "out" "dev" ]; };
  place = set: name:
    let at = builtins.unsafeGetAttrPos name set; in
    if at == null then name else "${name} ${baseNameOf at.file}:${toString at.line}:${toString at.column}";
in
[ (map (place drv) (builtins.attrNames drv)) (map (place drv.dev) [ "outPath" "outputName" ]) (place (builtins.functionArgs derivation) "outputs") ]
