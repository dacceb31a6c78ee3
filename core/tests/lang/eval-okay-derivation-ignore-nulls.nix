[ (derivation { name = "n"; system = "s"; builder = "/b"; __ignoreNulls = true; x = null; }).drvPath (derivation { name = "n"; system = "s"; builder = "/b"; x = null; }).drvPath ]
