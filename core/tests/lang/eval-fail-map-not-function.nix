map 5 [ 1 ]
