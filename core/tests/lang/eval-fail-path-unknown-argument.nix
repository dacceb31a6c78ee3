builtins.path { path = ./data/text.txt; hash = ""; }
