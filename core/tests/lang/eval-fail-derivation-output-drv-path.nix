(derivation { name = "n"; builder = "b"; system = "s"; outputs = [ "drvPath" ]; }).drvPath
