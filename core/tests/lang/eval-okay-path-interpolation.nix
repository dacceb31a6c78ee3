let x = "sub"; in [ (builtins.readFile ./data/dir/${x}/x) (toString /foo/${x}/bar) (toString /foo/${x + "1"}bar) (builtins.typeOf ./${x}) ]
