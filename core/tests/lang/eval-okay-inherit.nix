let a = 1; s = { b = 2; c = 3; }; in { inherit a; inherit (s) b c; r = rec { inherit (s) b; d = b; inherit a; }; l = let inherit (s) c; in c; n = let b = 10; in rec { inherit b; e = b; }; }
