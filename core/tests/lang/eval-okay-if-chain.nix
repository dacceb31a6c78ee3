let f = x: if x == 1 then "a" else if x == 2 then "b" else "c"; in map f [ 1 2 3 ]
