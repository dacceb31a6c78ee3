# What looks like TOML 1.1 but is in 1.0.
builtins.fromTOML ''
  literal = '\e \x41'
  escaped = "\\e \\x41 \u0065"
  lines = """\\e
  \
     \\x \" { a = 1, }"""
  table = { list = [ 1, # comment
    { a = "}", b = ",}" },
  ], last = { } }
  list = [ { a = 1 }, { },
    ]
  comment = 1 # { a = 1, } "\e"
  [ header . "a]" ]
  a = { }
''
