# Graphs as closures: dependencies, reachability, components and layers.
let
  inherit (builtins) all attrNames attrValues concatMap concatStringsSep elem filter foldl' genericClosure groupBy head isList length listToAttrs map mapAttrs sort tail tryEval;
  graph = {
    app = [ "http" "json" "log" ];
    http = [ "tls" "log" ];
    tls = [ "asn1" "libc" ];
    json = [ "libc" ];
    log = [ "libc" ];
    asn1 = [ "bignum" ];
    bignum = [ "libc" ];
    libc = [ ];
    island = [ "island2" ];
    island2 = [ "island" ];
  };
  nodes = attrNames graph;
  edges = name: graph.${name} or (throw "no node ${name}");
  closure = starts: map (n: n.key) (genericClosure {
    startSet = map (key: { inherit key; }) starts;
    operator = { key, ... }: map (key: { inherit key; }) (edges key);
  });
  # Keys of lists are compared item by item.
  steps = genericClosure {
    startSet = [ { key = [ 0 0 ]; path = ""; } ];
    operator = { key, path }:
      let x = head key; y = head (tail key); in
      (if x < 2 then [ { key = [ (x + 1) y ]; path = path + "r"; } ] else [ ]) ++ (if y < 2 then [ { key = [ x (y + 1) ]; path = path + "d"; } ] else [ ]);
  };
  depths = start: listToAttrs (map (n: { name = n.key; value = n.depth; }) (genericClosure {
    startSet = [ { key = start; depth = 0; } ];
    operator = n: map (key: { inherit key; depth = n.depth + 1; }) (edges n.key);
  }));
  longest = let
    memo = mapAttrs (name: deps: if deps == [ ] then 0 else 1 + foldl' (a: b: if a > b then a else b) 0 (map (d: memo.${d}) deps)) (removeAttrs graph [ "island" "island2" ]);
  in memo;
  reversed = foldl' (acc: from: foldl' (acc: to: acc // { ${to} = acc.${to} or [ ] ++ [ from ]; }) acc (edges from)) (mapAttrs (_: _: [ ]) graph) nodes;
  reaches = a: b: elem b (concatMap (n: closure [ n ]) (edges a));
  cyclic = filter (n: reaches n n) nodes;
  components =
    let
      both = name: sort builtins.lessThan (filter (other: other == name || (reaches name other && reaches other name)) nodes);
    in
    attrValues (groupBy (c: concatStringsSep "+" c) (map both nodes));
  layers =
    let
      go = done: rest:
        let ready = filter (n: all (d: elem d done) (edges n)) rest; in
        if ready == [ ] then [ ] else [ ready ] ++ go (done ++ ready) (filter (n: !elem n ready) rest);
    in
    go [ ] nodes;
  reduction = mapAttrs (_: deps: filter (d: !(builtins.any (o: o != d && elem d (closure [ o ])) deps)) deps) graph;
  dot = "digraph {\n${concatStringsSep "" (concatMap (n: map (d: "  \"${n}\" -> \"${d}\";\n") (edges n)) nodes)}}\n";
  collatz = n: map (x: x.key) (genericClosure {
    startSet = [ { key = n; } ];
    operator = { key }: [ { key = if builtins.bitAnd key 1 == 0 then key / 2 else 3 * key + 1; } ];
  });
  states = genericClosure {
    startSet = [ { key = { }.none or "start"; } ];
    operator = { key }: { start = [ { key = "run"; } ]; run = [ { key = "stop"; } { key = "wait"; } ]; wait = [ { key = "run"; } ]; }.${key} or [ ];
  };
  ends = e: (tryEval (builtins.deepSeq e true)).success;
in
{
  closures = mapAttrs (n: _: closure [ n ]) graph;
  several = closure [ "json" "log" "json" ];
  inherit reversed cyclic components layers longest reduction dot;
  depths = depths "app";
  steps = map (s: s.path) steps;
  grid = length steps;
  collatz = [ (collatz 6) (length (collatz 27)) ];
  states = map (s: s.key) states;
  lazy = [
    (length (genericClosure { startSet = [ { key = 1; value = throw "unused"; } ]; operator = _: [ ]; }))
    (genericClosure { startSet = [ ]; operator = throw "not called"; })
    (genericClosure { startSet = [ { key = 1; } { key = 1; other = true; } ]; operator = _: [ ]; })
    (map (x: x.key) (genericClosure { startSet = [ { key = 1.5; } { key = 1; } ]; operator = x: if x.key < 3 then [ { key = x.key + 1; } ] else [ ]; }))
  ];
  failing = [
    (ends (closure [ "nowhere" ]))
    (ends (genericClosure { startSet = [ { key = throw "key"; } ]; operator = _: [ ]; }))
    (ends (genericClosure { startSet = [ { key = 1; } ]; operator = _: throw "next"; }))
    (ends (genericClosure { startSet = [ (throw "item") ]; operator = _: [ ]; }))
    (ends (genericClosure { startSet = throw "start"; operator = throw "operator"; }))
  ];
}
