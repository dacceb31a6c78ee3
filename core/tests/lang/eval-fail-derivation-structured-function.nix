(derivation { name = "n"; builder = "b"; system = "s"; __structuredAttrs = true; f = x: x; }).drvPath
