builtins.fetchurl { url = "http://localhost/~wiggle~"; }
