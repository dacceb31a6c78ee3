let s = { a.b = null; }; in [ (s ? a) (s ? b) (s ? a.b) (s ? a.b.c) (s ? "a") (1 ? a) ([ ] ? a) (s ? a."b") ]
