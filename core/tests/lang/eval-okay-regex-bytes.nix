# Bytes, not characters.
[ (builtins.match "." "é") (builtins.match ".." "é") (builtins.split "é" "aéb") (builtins.match "[é]+" "é") (builtins.match "a.b" "a\nb") (builtins.stringLength "é€") (builtins.match "(.)(.)" "é" != null) ]
