let { body = a; a = 1; b.c = 2; }
