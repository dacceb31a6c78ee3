builtins.fromJSON "{\n  \"a\": 1\n  \"b\": 2\n}"
