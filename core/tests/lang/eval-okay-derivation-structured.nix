let d = derivation { name = "s"; system = "s"; builder = "/b"; __structuredAttrs = true; a = { b = [ 1 1.5 null true "x" ]; }; outputs = [ "out" "lib" ]; }; in [ d.drvPath d.lib.outPath ]
