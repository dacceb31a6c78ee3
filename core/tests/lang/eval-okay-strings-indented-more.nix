# Minimal indentation, escapes, interpolation at the margin.
[
  ''
    a
      b
    c
  ''
  ''a''
  ''
      deep
    ${"margin"} x
  ''
  ''
    trailing   
    $${x} ''${y} ''' ''\n ''\t ''\q
  ''
  ''

    blank line above
  ''
  '' leading space''
  ''
    	tab
  ''
  ''''
  ''${"only"}''
  ''
    a ''${b}
      ${"c"}
  ''
]
