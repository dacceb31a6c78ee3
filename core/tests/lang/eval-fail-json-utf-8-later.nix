# Writing begins when everything is evaluated, so the throw comes first.
let broken = builtins.substring 1 1 "é"; in
builtins.toJSON [ broken { ${broken} = throw "evaluated"; } ]
