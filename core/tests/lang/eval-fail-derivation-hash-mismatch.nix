(derivation { name = "n"; builder = "b"; system = "s"; outputHash = "md5-1B2M2Y8AsgTpgAmY7PhCfg=="; outputHashAlgo = "sha256"; }).drvPath
