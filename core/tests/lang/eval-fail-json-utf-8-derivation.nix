(derivation {
  name = "n";
  system = "s";
  builder = "b";
  __structuredAttrs = true;
  first = [ "ok" (builtins.substring 0 3 "😀") ];
  second = builtins.substring 1 1 "é";
}).drvPath
