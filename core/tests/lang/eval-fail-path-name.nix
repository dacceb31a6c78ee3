builtins.path { path = ./data/text.txt; name = 1; }
