map builtins.typeOf [ 1 1.0 true null "s" ./p [ ] { } (x: x) builtins.add (builtins.add 1) ]
