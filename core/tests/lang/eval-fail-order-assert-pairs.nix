# The message names the first pair that differs, by value or by name.
assert { first = 1; second = 2; } == { first = "1"; third = 3; }; true
