let s = { a = 1;
  b = 2; inherit (builtins) add; }; in [ (builtins.unsafeGetAttrPos "b" s).line (builtins.unsafeGetAttrPos "b" s).column (builtins.unsafeGetAttrPos "add" s).line (builtins.unsafeGetAttrPos "z" s) __curPos.line __curPos.column (builtins.unsafeGetAttrPos "a" (s // { c = 1; })).column ]
