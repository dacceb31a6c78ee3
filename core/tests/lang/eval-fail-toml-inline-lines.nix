# TOML 1.1 allows it, 1.0 does not.
builtins.fromTOML ''
  a = { b = 1,
    c = 2 }
''
