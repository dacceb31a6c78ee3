# What only some built-in functions look for is a name like others.
let pair = { pname = 1; hash = 2; }; in
assert (builtins.tryEval 1).success;
{ version = throw "version"; success = throw "success"; hash = throw "hash"; pname = throw "pname"; }
