# Path literals with ${…}.
let d = "dir"; n = 1; in [ /a/${d}/b /a/x${d}y /a/${d + "2"} (/a/${d}/../c) (builtins.typeOf /a/${d}) (./data/${d} == ./data/dir) (/a/${toString n}.txt) ]
