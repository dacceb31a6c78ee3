(derivation { name = "n"; builder = "b"; system = "s"; outputHash = "d41d8cd98f00b204e9800998ecf8427e"; }).drvPath
