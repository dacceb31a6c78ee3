(with { a = 1; }; a) + (with { b = 1; }; a)
