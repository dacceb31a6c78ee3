rec { b = a; a = 1; c = rec { inherit a; }; c.d = b; e = { f = a; }; e = rec { g = 1; }; }
