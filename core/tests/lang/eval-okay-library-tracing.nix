# What is said on the way, in which order, and how often.
let
  inherit (builtins) addErrorContext attrNames attrValues concatMap deepSeq elem filter foldl' genericClosure groupBy head isAttrs isList length listToAttrs map mapAttrs partition replaceStrings seq sort tail toJSON trace tryEval typeOf warn zipAttrsWith;
  traceIf = condition: message: if condition then trace message else x: x;
  traceVal = x: trace x x;
  traceFn = f: x: trace (f x) x;
  traceSeq = x: y: trace (deepSeq x x) y;
  traceSeqN = depth: x: y:
    let
      snip = v: if isList v then (if v == [ ] then v else [ "…" ]) else if isAttrs v then (if v == { } then v else { "…" = "…"; }) else v;
      modify = n: v: if n == 0 then snip v else if isList v then map (modify (n - 1)) v else if isAttrs v then mapAttrs (_: modify (n - 1)) v else v;
    in
    trace (let shown = modify depth x; in deepSeq shown shown) y;
  traceCall = name: f: x: let y = f x; in trace "${name} ${toJSON x}" (trace "${name} = ${toJSON y}" y);
  warnIf = condition: message: if condition then warn message else x: x;
  throwIf = condition: message: if condition then throw message else x: x;
  lazily = name: value: trace "evaluated ${name}" value;
  fib = traceCall "fib" (n: if n < 2 then n else fib (n - 1) + fib (n - 2));
  data = { b = lazily "b" 1; a = { d = lazily "d" [ (lazily "item" 2) ]; c = lazily "c" 3; }; };
  deprecated = mapAttrs (name: value: warn "`${name}' is deprecated" value) { old = 1; older = { x = 2; }; };
  list = map (n: lazily "n${toString n}" n) [ 3 1 2 ];
  record = { name = lazily "name" "rec"; value = lazily "value" 1; };
  both = f: g: x: seq (f x) (g x);
in
[
  (traceVal { a = 1; b = [ 1 2 ]; f = x: x; n = null; s = "q\"uo"; })
  (traceFn (x: "fn ${toString x}") 5)
  (traceIf false (throw "not said") 1)
  (traceSeq { deep = [ { er = 1; } ]; } 2)
  (traceSeqN 1 { a = { b = { c = 1; }; }; l = [ [ 1 ] [ ] ]; e = { }; } 3)
  (traceSeqN 0 [ 1 ] 4)
  (fib 3)
  data.a.c
  (deepSeq data 5)
  data
  (attrNames data)
  deprecated.old
  (deprecated.older.x + deprecated.old)
  (warnIf true "careful" (warnIf false "not said" 6))
  (tryEval (throwIf true "thrown" 7))
  (tryEval (trace "before" (throw "after")))
  (sort (a: b: trace "${toString a} < ${toString b}" (a < b)) list)
  (filter (x: trace "filter ${toString x}" (x > 1)) list)
  (partition (x: trace "partition ${toString x}" (x > 1)) list)
  (foldl' (a: b: trace "fold ${toString b}" (a + b)) (lazily "zero" 0) list)
  (groupBy (x: trace "group ${toString x}" (if x > 1 then "more" else "one")) list)
  (zipAttrsWith (n: v: trace "zip ${n}" v) [ { z = 1; y = 2; } { z = lazily "zipped" 3; } ])
  (listToAttrs [ record (record // { value = throw "second"; }) ])
  (builtins.concatMap (x: trace "concat ${toString x}" [ x x ]) [ 1 2 ])
  (genericClosure { startSet = [ { key = lazily "key" 1; } ]; operator = x: trace "next ${toString x.key}" (if x.key < 3 then [ { key = x.key + 1; } { key = 1; } ] else [ ]); })
  (mapAttrs (n: v: trace "map ${n}" v) { q = 1; p = 2; })
  (builtins.all (x: trace "all ${toString x}" (x < 2)) [ 1 2 3 ])
  (builtins.any (x: trace "any ${toString x}" (x > 1)) [ 1 2 3 ])
  (elem (lazily "sought" 2) [ (lazily "first" 1) (lazily "second" 2) (lazily "third" 3) ])
  ({ x = lazily "left" 1; } == { x = lazily "right" 1; })
  ([ (lazily "l1" 1) (lazily "l2" 2) ] < [ (lazily "r1" 1) (lazily "r2" 3) ])
  ((lazily "and" false) && (lazily "never" true))
  ((lazily "impl" false) -> (lazily "never" true))
  ((lazily "set" { a = 1; }) // (lazily "update" { b = 2; }))
  ((lazily "one" [ 1 ]) ++ (lazily "two" [ ]) ++ (lazily "three" [ 3 ]))
  ((lazily "minuend" 5) - (lazily "subtrahend" 3))
  (both (x: lazily "f" x) (x: lazily "g" x) (lazily "argument" 1))
  ("${lazily "s1" "a"}${lazily "s2" "b"}" + lazily "s3" "c")
  ({ a, b ? lazily "default" a, ... }@args: [ b args.c or (lazily "or" 0) ]) { a = lazily "given" 1; d = lazily "never" 1; }
  (let inherit (lazily "from" { p = 1; q = lazily "q" 2; }) p q; in [ p q p ])
  (with lazily "with" { w = lazily "w" 1; }; [ w w ])
  (replaceStrings (lazily "froms" [ (lazily "from1" "a") "b" ]) [ (lazily "to1" "1") (lazily "to2" "2") ] (lazily "subject" "xa"))
  (assert lazily "assert" true; lazily "body" 1)
  (toJSON { k2 = lazily "j2" 1; k1 = lazily "j1" 2; })
  (typeOf (lazily "type" null))
  (builtins.intersectAttrs { i = lazily "never" 1; } { i = lazily "i" 2; j = lazily "never" 3; })
  (builtins.removeAttrs (lazily "removed" { r = lazily "never" 1; s = lazily "s" 2; }) [ (lazily "removal" "r") ])
  (builtins.substring (lazily "start" 1) (lazily "length" 2) (lazily "string" "abcd"))
  (builtins.elemAt [ (lazily "never" 1) (lazily "element" 2) ] (lazily "index" 1))
  (builtins.catAttrs (lazily "attr" "c") [ { c = lazily "cat" 1; } (lazily "member" { }) ])
  (builtins.concatStringsSep (lazily "separator" ",") [ (lazily "word1" "x") (lazily "word2" "y") ])
  (map (lazily "function" (x: x)) [ 1 2 ])
  (if lazily "condition" true then lazily "then" 1 else lazily "never" 2)
  (addErrorContext (lazily "never" "context") 1)
]
