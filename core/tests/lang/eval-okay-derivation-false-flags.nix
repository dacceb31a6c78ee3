# Flags that are false leave no trace, but for __ignoreNulls and __structuredAttrs.
let path = more: (derivation ({ name = "n"; builder = "b"; system = "s"; } // more)).drvPath; in
[
  (path { __contentAddressed = false; } == path { })
  (path { __impure = false; } == path { })
  (path { __structuredAttrs = false; } == path { })
  (path { __ignoreNulls = false; } == path { })
  (path { __structuredAttrs = true; __contentAddressed = false; } == path { __structuredAttrs = true; })
]
