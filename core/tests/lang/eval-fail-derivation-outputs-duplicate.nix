(derivation { name = "d"; system = "s"; builder = "/b"; outputs = [ "out" "out" ]; }).drvPath
