let mark = builtins.fromJSON ''"\ufeff"''; in
builtins.fromJSON "${mark}${mark}1"
