(derivation { name = "d"; system = "s"; builder = "/b"; x = { y = 1; }; }).drvPath
