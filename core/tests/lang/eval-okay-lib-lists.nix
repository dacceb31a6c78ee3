# What a library does to lists, in terms of the built-in functions.
let
  inherit (builtins) foldl' genList elemAt length head tail filter concatMap map;
  foldr = op: nul: list: let len = length list; go = n: if n == len then nul else op (elemAt list n) (go (n + 1)); in go 0;
  reverse = xs: let l = length xs; in genList (n: elemAt xs (l - n - 1)) l;
  take = n: xs: genList (elemAt xs) (if n > length xs then length xs else n);
  drop = n: xs: let l = length xs; in genList (i: elemAt xs (i + n)) (if n > l then 0 else l - n);
  zipWith = f: a: b: genList (n: f (elemAt a n) (elemAt b n)) (if length a < length b then length a else length b);
  unique = foldl' (acc: e: if builtins.elem e acc then acc else acc ++ [ e ]) [ ];
  flatten = x: if builtins.isList x then concatMap flatten x else [ x ];
  range = a: b: if a > b then [ ] else genList (n: a + n) (b - a + 1);
  imap = f: xs: genList (n: f n (elemAt xs n)) (length xs);
  toposort = before: list:
    let
      dfs = x: visited: rest: let b = builtins.partition (y: before y x) rest; in
        if b.right == [ ] then { minimal = x; rest = rest; } else dfs (head b.right) (visited ++ [ x ]) (tail b.right ++ b.wrong);
      first = dfs (head list) [ ] (tail list);
      found = first.minimal;
    in if length list < 2 then list else [ found ] ++ toposort before (filter (x: x != found) list);
in
{
  folds = [ (foldr (a: b: a - b) 0 [ 1 2 3 ]) (foldl' (a: b: a - b) 0 [ 1 2 3 ]) ];
  reversed = reverse [ 1 "a" null ];
  parts = [ (take 2 [ 1 2 3 ]) (take 9 [ 1 ]) (drop 2 [ 1 2 3 ]) (drop 9 [ 1 ]) ];
  zipped = zipWith (a: b: a + b) [ 1 2 3 ] [ 10 20 ];
  once = unique [ 1 2 1 1.0 "a" "a" { } { } [ ] ];
  flat = flatten [ 1 [ 2 [ 3 [ ] ] ] [ [ [ 4 ] ] ] ];
  ranges = [ (range 1 4) (range 3 1) (range (-1) 1) ];
  indexed = imap (i: x: "${toString i}${x}") [ "a" "b" ];
  sorted = toposort (a: b: a < b) [ 3 1 2 ];
}
