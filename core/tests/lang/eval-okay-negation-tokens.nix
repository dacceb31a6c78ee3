let a-b = 3; a = 1; b = 2; in [ a-b (a - b) (a -b) (-a) (- -a) (a+b) ]
