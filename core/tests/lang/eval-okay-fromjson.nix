builtins.fromJSON "{\"a\": [1, -2, 3.5, 1e3, true, false, null, \"x\\ny\\u00e9\\ud83d\\ude00\"], \"b\": {\"c\": {}}, \"dup\": 1, \"dup\": 2}" 
