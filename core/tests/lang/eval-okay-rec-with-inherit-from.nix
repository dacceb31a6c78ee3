rec { a = { x = 1; }; inherit (a) x; y = x; inherit (rec { p = q; q = 2; }) p; }
