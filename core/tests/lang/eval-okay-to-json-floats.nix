# The shortest text that reads back the same.
builtins.toJSON [ 0.1 1.0 (-0.0) 100.0 1.0e15 1.0e16 1.0e17 1.0e-4 1.0e-5 123456.789 3.0e-10 1.7976931348623157e308 0.30000000000000004 2.5e-308 ]
