let a = 1; b = a + c; c = 2; in { inherit b; r = rec { x = y; y = z; z = 3; }; l = let { body = q; q = 9; }; }
