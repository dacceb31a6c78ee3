# Of several attributes that are there twice the first in order of names is told.
{ set = { name = 1; type = 2; }; set = { name = 3; type = 4; }; }
