b: [
  ''''
  ''a''
  ''${b}''
  ''
    two
      lines ${b}
    ''$ ''' ''\n $ $x
  ''
  ''
    ${b}
   less
  ''
]
