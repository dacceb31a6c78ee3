builtins.fromTOML ''
  title = "x"
  [a]
  b = 1
  c = [1, 2]
  f = 1.5
  t = true
  [a.d]
  e = 'lit'
  [[l]]
  n = 1
  [[l]]
  n = 2
''
