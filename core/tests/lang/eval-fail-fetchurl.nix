builtins.fetchurl 5
