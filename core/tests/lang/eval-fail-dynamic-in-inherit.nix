{ inherit (builtins) ${"a" + ""}; }
