# Defaults see each other; the whole argument has no defaults.
[
  (({ a ? 1, b ? a + 1, c ? b + 1 }: [ a b c ]) { b = 10; })
  ((args@{ a ? 1, ... }: args) { x = 2; })
  (({ a ? 1 }@args: args ? a) { })
  (({ a, b ? args.a }@args: b) { a = 3; })
  (({ }: 1) { })
  (({ ... }: 2) { x = 1; })
  (({ a, ... }@args: args.b) { a = 1; b = 4; })
  (builtins.functionArgs ({ a, b ? 1, ... }: 1))
  (builtins.functionArgs (x: x))
  (({ f ? x: x + 1 }: f 1) { })
  (({ a ? { b = 1; } }: a.b) { })
]
