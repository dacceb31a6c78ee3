builtins.path { path = ./data/text.txt; sha256 = "no hash"; }
