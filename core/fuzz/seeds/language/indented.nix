''
  text ${toString 1}
    more ''${x} '''quoted'''
  ''\n
''