# Overlays over a fixed point, as package sets are put together.
let
  fix = f: let x = f x; in x;
  extends = overlay: f: final: let prev = f final; in prev // overlay final prev;
  composeExtensions = f: g: final: prev: let fApplied = f final prev; prev' = prev // fApplied; in fApplied // g final prev';
  composeMany = builtins.foldl' composeExtensions (final: prev: { });
  makeExtensible = rattrs: fix rattrs // { extend = f: makeExtensible (extends f rattrs); };
  base = final: { a = 1; b = final.a + 1; c = final.b + 1; };
  one = final: prev: { a = 10; };
  two = final: prev: { b = prev.b * 2; d = final.c; };
  set = makeExtensible base;
in
[
  (fix base)
  (fix (extends one base))
  (fix (extends two (extends one base)))
  (fix (extends (composeMany [ one two ]) base))
  (removeAttrs (set.extend one) [ "extend" ])
  (removeAttrs ((set.extend one).extend two) [ "extend" ])
]
