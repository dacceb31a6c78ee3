[ { a = rec { x = 1; y = x; }; a.z = 2; } { a.z = 2; a = rec { x = 1; }; } ]
