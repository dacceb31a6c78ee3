(derivation { name = "n"; builder = "b"; system = "s"; args = [ { } ]; }).drvPath
