(derivation { name = "n.drv"; builder = "b"; system = "s"; }).drvPath
