# Lists: folds, orders, groups and searches, with the laziness of each shown.
let
  inherit (builtins) all any attrNames attrValues compareVersions concatLists concatMap concatStringsSep elem elemAt filter foldl' genList groupBy head isInt isList isString length lessThan listToAttrs map mapAttrs match partition sort split stringLength substring tail tryEval;
  id = x: x;
  flip = f: a: b: f b a;
  compose = foldl' (f: g: x: g (f x)) id;
  pipe = foldl' (value: f: f value);
  foldr = op: nul: list: let n = length list; go = i: if i == n then nul else op (elemAt list i) (go (i + 1)); in go 0;
  foldl = op: nul: list: let go = i: if i == -1 then nul else op (go (i - 1)) (elemAt list i); in go (length list - 1);
  range = a: b: if a > b then [ ] else genList (n: a + n) (b - a + 1);
  imap0 = f: list: genList (n: f n (elemAt list n)) (length list);
  last = list: assert list != [ ] || throw "lists.last: list must not be empty!"; elemAt list (length list - 1);
  init = list: genList (elemAt list) (length list - 1);
  sublist = start: count: list:
    let n = length list; in genList (i: elemAt list (i + start)) (if start >= n then 0 else if start + count > n then n - start else count);
  take = sublist 0;
  drop = n: list: sublist n (length list) list;
  splitAt = n: list: { left = take n list; right = drop n list; };
  findIndex = pred: default: list:
    let found = foldl' (i: x: if i < 0 then (if pred x then -i - 1 else i - 1) else i) (-1) list; in
    if found < 0 then default else found;
  findFirst = pred: default: list: let i = findIndex pred null list; in if i == null then default else elemAt list i;
  takeWhile = pred: list: let i = findIndex (x: !pred x) null list; in if i == null then list else take i list;
  zipWith = f: a: b: genList (n: f (elemAt a n) (elemAt b n)) (if length a < length b then length a else length b);
  zip = zipWith (fst: snd: { inherit fst snd; });
  reverse = list: let n = length list; in genList (i: elemAt list (n - i - 1)) n;
  unique = foldl' (acc: x: if elem x acc then acc else acc ++ [ x ]) [ ];
  allUnique = list: length (unique list) == length list;
  subtract = minus: filter (x: !elem x minus);
  intersect = a: filter (flip elem a);
  flatten = x: if isList x then concatMap flatten x else [ x ];
  count = pred: foldl' (n: x: if pred x then n + 1 else n) 0;
  groupFold = op: nul: key: list: mapAttrs (_: foldl op nul) (groupBy key list);
  crossLists = f: foldl (fs: args: concatMap (f: map f args) fs) [ f ];
  permutations = list: if list == [ ] then [ [ ] ] else concatMap (i: map (rest: [ (elemAt list i) ] ++ rest) (permutations (take i list ++ drop (i + 1) list))) (range 0 (length list - 1));
  powerset = foldr (x: sets: sets ++ map (s: [ x ] ++ s) sets) [ [ ] ];
  compareLists = cmp: a: b:
    if a == [ ] then (if b == [ ] then 0 else -1) else if b == [ ] then 1
    else let here = cmp (head a) (head b); in if here == 0 then compareLists cmp (tail a) (tail b) else here;
  compare = a: b: if a < b then -1 else if a > b then 1 else 0;
  natural = list:
    let
      vectorise = s: map (x: if isList x then builtins.fromJSON (head (match "0*([0-9]+)" (head x))) else x) (split "(0|[1-9][0-9]*)" s);
      prepared = map (x: [ (vectorise x) x ]) list;
      less = a: b: compareLists compare (head a) (head b) < 0;
    in
    map (x: elemAt x 1) (sort less prepared);
  sortOn = f: list: map (x: x.value) (sort (a: b: a.key < b.key) (map (value: { inherit value; key = f value; }) list));
  # By hand, to be held against the built-in one.
  mergeSort = less: list:
    let
      n = length list;
      merge = a: b: if a == [ ] then b else if b == [ ] then a else if less (head b) (head a) then [ (head b) ] ++ merge a (tail b) else [ (head a) ] ++ merge (tail a) b;
    in
    if n < 2 then list else merge (mergeSort less (take (n / 2) list)) (mergeSort less (drop (n / 2) list));
  listDfs = stopOnCycles: before: list:
    let
      go = us: visited: rest:
        let
          here = filter (x: before x us) visited;
          split = partition (x: before x us) rest;
        in
        if stopOnCycles && here != [ ] then { cycle = us; loops = here; inherit visited rest; }
        else if split.right == [ ] then { minimal = us; inherit visited rest; }
        else go (head split.right) ([ us ] ++ visited) (tail split.right ++ split.wrong);
    in
    go (head list) [ ] (tail list);
  toposort = before: list:
    let
      first = listDfs true before list;
      others = toposort before (first.visited ++ first.rest);
    in
    if length list < 2 then { result = list; }
    else if first ? cycle then { cycle = reverse ([ first.cycle ] ++ first.visited); inherit (first) loops; }
    else if others ? cycle then others
    else { result = [ first.minimal ] ++ others.result; };
  random = seed: n: let next = s: builtins.bitAnd (s * 1103515245 + 12345) 2147483647; in (foldl' (acc: _: { s = next acc.s; out = acc.out ++ [ (builtins.bitAnd (acc.s / 65536) 63) ]; }) { s = seed; out = [ ]; } (range 1 n)).out;
  numbers = random 42 60;
  pairs = imap0 (i: n: { k = n; at = i; }) numbers;
in
{
  folds = [ (foldr (a: b: "(${toString a} ${b})") "." [ 1 2 3 ]) (foldl (a: b: "(${a} ${toString b})") "." [ 1 2 3 ]) (foldr (a: _: a) null [ 1 (throw "unused") ]) (foldl (_: b: b) (throw "unused") [ 1 2 ]) ];
  functions = [ (compose [ (x: x + 1) (x: x * 2) toString ] 4) (pipe 3 [ (range 1) (map (x: x * x)) (foldl' builtins.add 0) ]) ];
  parts = [ (take 2 numbers) (drop 57 numbers) (sublist 3 2 [ 1 2 3 4 ]) (splitAt 1 [ 1 2 ]) (last [ 1 2 ]) (init [ 1 2 ]) (tryEval (last [ ])) ];
  found = [ (findIndex (x: x > 2) null [ 1 2 3 4 ]) (findFirst isString "none" [ 1 2 ]) (findFirst (x: x == 1) null [ 1 (throw "unused") ]) (takeWhile (x: x < 3) [ 1 2 3 1 ]) ];
  zipped = [ (zip [ 1 2 ] [ "a" "b" "c" ]) (zipWith lessThan [ 1 5 ] [ 2 4 ]) ];
  sets = [ (unique [ 1 1.0 "1" [ 1 ] [ 1.0 ] null { a = 1; } { a = 1.0; } null ]) (allUnique [ 1 2 ]) (subtract [ 1 ] [ 1 2 1 ]) (intersect [ 1 2 ] [ 2 3 1 ]) ];
  flat = flatten [ [ [ ] [ 1 [ 2 ] ] ] "a" { x = [ 1 ]; } ];
  counted = [ (count isInt [ 1 "a" 2 ]) (groupFold (a: b: a + b) 0 (x: if x < 32 then "low" else "high") numbers) ];
  crossed = [ (crossLists (a: b: "${a}${toString b}") [ [ "x" "y" ] [ 1 2 ] ]) (permutations [ 1 2 3 ]) (powerset [ 1 2 3 ]) ];
  natural = [ (natural [ "page12" "page2" "page120" "page02" "a" "page" "" ]) (natural [ "192.9.30.1" "192.10.2.1" "192.9.4.22" ]) (natural [ "r3.2" "r3.15" "r3.0.9" ]) ];
  sorted = [ (sort lessThan numbers == mergeSort lessThan numbers) (sort (a: b: a.k < b.k) pairs == mergeSort (a: b: a.k < b.k) pairs) (map (p: p.at) (sort (a: b: a.k < b.k) pairs)) ];
  byVersion = sort (a: b: compareVersions a b < 0) [ "1.10" "1.9" "1.9pre" "1.9.1" "1.9a" "1.9-2" "1.9.0" ];
  sortedOn = [ (sortOn stringLength [ "aaa" "b" "cc" "d" ]) (sortOn (x: [ (stringLength x) x ]) [ "b" "aa" "a" ]) ];
  stable = map (p: p.at) (sort (a: b: a.k / 16 < b.k / 16) pairs);
  compared = [ (compareLists compare [ 1 2 ] [ 1 3 ]) (compareLists compare [ ] [ ]) (compareLists compare [ 2 ] [ ]) ([ 1 2 ] < [ 1 2 0 ]) ([ [ 1 ] "a" ] < [ [ 1 ] "b" ]) ];
  topo = [
    (toposort (a: b: elem a (b.needs or [ ])) [ "x" ])
    (toposort (a: b: elem a.n b.needs) [ { n = "c"; needs = [ "a" "b" ]; } { n = "a"; needs = [ ]; } { n = "b"; needs = [ "a" ]; } ])
    (toposort (a: b: elem a.n b.needs) [ { n = "a"; needs = [ "b" ]; } { n = "b"; needs = [ "a" ]; } ])
    (toposort lessThan numbers).result
  ];
  lazy = [ (length [ (throw "a") (throw "b") ]) (head (tail [ (throw "a") 2 ])) (elem 1 [ 1 (throw "unused") ]) (any id [ true (throw "unused") ]) (all id [ false (throw "unused") ]) (length (map throw [ "a" ])) (length (concatLists [ [ (throw "a") ] [ ] ])) ];
}
