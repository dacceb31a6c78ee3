let f = x: x; in assert f == f; true
