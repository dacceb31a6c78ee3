# One set met again is «repeated».
let s = { a = 1; }; l = [ 1 ]; e = { }; in [ s s { inherit s; } l l [ ] [ ] e e ]
