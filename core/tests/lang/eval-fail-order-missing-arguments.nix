# Of several missing arguments the one whose name was read first is told.
let other = { zlib, cmake }: zlib; in
({ cmake, autoconf, zlib }: zlib) { }
