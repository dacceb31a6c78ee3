builtins.fetchurl { url = "http://localhost/x"; sha512 = ""; }
