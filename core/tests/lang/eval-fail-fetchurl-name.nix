builtins.fetchurl "http://localhost/~wiggle~"
