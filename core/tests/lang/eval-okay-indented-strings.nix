[
  ''
    two
      four
    two
  ''
  '' x ''
  ''
    a
    b''
  ''''
  ''

    after blank
  ''
  ''
    ''${no} ''' '$x ''\n ''\t$ $$ ''\${
  ''
  ''
    ${"in"}
      ${"deeper"}
  ''
  ''a
   b''
  ''   
    x
  ''
]
