(derivation { name = "x-${derivation { name = "n"; builder = "b"; system = "s"; }}"; builder = "b"; system = "s"; }).drvPath
