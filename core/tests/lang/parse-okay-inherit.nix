x: y: { inherit y x; inherit (x) b a; a2 = 1; inherit (y) c; inherit; inherit (x) d; s.t = 1; s = { inherit (y) q; inherit x; }; }
