# A derivation is drawn once.
let d = derivation { name = "n"; builder = "b"; system = "s"; }; in builtins.toXML [ d d { inherit d; } ]
