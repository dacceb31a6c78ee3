(derivation { name = "n"; builder = { }; system = "s"; }).drvPath
