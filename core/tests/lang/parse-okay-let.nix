let b = a; a = 1; c.d = 2; c.e = 3; inherit (c) d; in let in [ a b c d ]
