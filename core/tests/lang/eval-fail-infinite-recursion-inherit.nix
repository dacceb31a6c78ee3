let x = { inherit (x) a; }; in x.a
