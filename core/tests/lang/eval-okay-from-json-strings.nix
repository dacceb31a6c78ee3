# Escapes, surrogates, control characters.
map builtins.fromJSON [ ''"\u00e9\u20ac"'' ''"\ud83d\ude00"'' ''"\b\f\n\r\t\/\\\""'' ''""'' ''"é"'' ''"\u007f"'' ''"a\u0001b"'' ]
