# White space, nesting, names given twice.
map builtins.fromJSON [ " [ ] " "{ }" "[[],{},[[]]]" "{\"b\":1,\"a\":{\"c\":[1,2]}}" "{\"a\":1,\"a\":2}" "\t[\n1\r,2 ]" "{\"\":0}" "{\"a b\":null,\"if\":true}" ]
