(derivation { name = "n"; builder = "b"; system = "s"; hook = x: x; }).drvPath
