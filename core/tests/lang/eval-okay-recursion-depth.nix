# Deep, but less than the limit of calls.
let
  count = n: if n == 0 then 0 else 1 + count (n - 1);
  build = n: if n == 0 then null else { next = build (n - 1); };
  depth = s: if s == null then 0 else 1 + depth s.next;
in
[ (count 3000) (depth (build 1000)) (builtins.length (builtins.foldl' (acc: x: [ acc ]) [ ] (builtins.genList (x: x) 5000))) ]
