# ^ and $ inside an expression.
[ (builtins.match "^a$" "a") (builtins.match "a^b" "a^b") (builtins.split "^a" "aaa") (builtins.split "a$" "aaa") (builtins.split "^" "ab") (builtins.split "$" "ab") (builtins.match "(^a|b)+" "ab") (builtins.match "a\\^b" "a^b") ]
