# one
a: /* two */ a # three
  + /* four * / **/ 1
