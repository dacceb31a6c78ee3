(derivation { name = "n"; builder = "b"; system = "s"; outputHash = ""; }).drvPath
