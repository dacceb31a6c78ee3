builtins.getAttr "nope" { }
