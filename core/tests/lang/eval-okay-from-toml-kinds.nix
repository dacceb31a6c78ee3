# What TOML has: tables, arrays of tables, dotted names, all the numbers.
builtins.fromTOML ''
  title = "x \"y\" \u00e9"
  literal = 'C:\path'
  hex = 0xff
  oct = 0o17
  bin = 0b101
  big = 9_223_372
  neg = -17
  pos = +99
  flt = [ 1.0, 3.1415, -0.01, 5e+22, 1e06, -2E-2, 6.626e-34 ]
  bool = true
  empty = []
  mixed = [ 1, "a", [ 2, 3 ], { b = 1 } ]
  a.b.c = 1
  a."d e" = 2
  multi = """
  one
  two\
    three"""
  raw = """
  x
  """

  [table]
  key = "v"
  [table.sub]
  k = 1

  [[items]]
  n = 1
  [[items]]
  n = 2
  [items.more]
  x = { y = { z = [] } }
''
