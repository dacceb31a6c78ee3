builtins.fetchurl { url = "http://localhost/~wiggle~"; name = "~x~"; }
