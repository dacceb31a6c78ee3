# The derivation itself is told before its outputs.
let drv = derivation { name = "n"; builder = "b"; system = "s"; }; in
{ "${drv}${drv.drvPath}" = 1; }
