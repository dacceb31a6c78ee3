(derivation { name = "outer"; builder = derivation { name = "inner"; builder = throw "innermost"; system = "s"; }; system = "s"; }).drvPath
