let a = { self = a; x = 1; }; in a
