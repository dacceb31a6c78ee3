builtins.toXML { a = 1; s = "<&\"'\n>"; l = [ true null 1.5 ]; f = { x, y ? 1, ... }@z: x; g = q: q; p = /foo; }
