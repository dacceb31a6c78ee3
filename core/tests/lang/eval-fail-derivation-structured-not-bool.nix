(derivation { name = "n"; builder = "b"; system = "s"; __structuredAttrs = "yes"; }).drvPath
