builtins.toJSON { z = 1; a = [ null true "q\"\\\n\t" 1.5 { } [ ] ]; "é" = "ü"; t = { __toString = _: "s"; }; o = { outPath = "/o"; x = 1; }; c = builtins.fromJSON "\"\\u0001\\u001f\\b\\f\""; }
