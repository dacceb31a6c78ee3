a: b: [ a.b a.b.c a."b c" a.${b} a."${b}" a.${"b"} a.b or 1 (a.b or 1 2) a.or (a ? b) (a ? b."c d".${b}) ]
