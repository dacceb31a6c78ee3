__sub: __lessThan: a: [ (a - 1) (-a) (a < 1) (a >= 1) ]
