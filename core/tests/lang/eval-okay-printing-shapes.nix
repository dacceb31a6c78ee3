# How values print, names quoted where they must be.
[ { } [ ] { "a b" = 1; "" = 2; "1a" = 3; a-b = 4; a' = 5; "if" = 6; _ = 7; "é" = 8; "a.b" = 9; or = 10; } "a\n\"\${b}\\$c $" /a/b null true 1.5 (x: x) builtins.add (builtins.add 1) [ [ ] { a = [ ]; } ] "tab\tend" ]
