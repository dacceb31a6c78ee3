[ (builtins.concatStringsSep ", " [ "a" "b" "c" ]) (builtins.concatStringsSep "x" [ ]) (builtins.concatStringsSep "x" [ "one" ]) (builtins.concatStringsSep "" [ "a" { outPath = "b"; } ]) ]
