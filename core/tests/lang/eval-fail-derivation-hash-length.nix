(derivation { name = "n"; builder = "b"; system = "s"; outputHash = "abc"; outputHashAlgo = "sha256"; }).drvPath
