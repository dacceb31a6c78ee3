# Attribute sets by path: lookups, deep changes, folds and many updates at once.
let
  inherit (builtins) all any attrNames attrValues concatLists concatMap concatStringsSep elemAt filter foldl' genList groupBy hasAttr head intersectAttrs isAttrs isFunction isList length listToAttrs map mapAttrs partition removeAttrs sort tail tryEval zipAttrsWith;
  pair = name: value: { inherit name value; };
  drop = n: list: genList (i: elemAt list (n + i)) (if n > length list then 0 else length list - n);
  take = n: list: genList (elemAt list) (if n > length list then length list else n);
  hasPath = path: set: path == [ ] || (set ? ${head path} && hasPath (tail path) set.${head path});
  getPath = path: default: set:
    let
      count = length path;
      go = n: s: if n == count then s else if s ? ${elemAt path n} then go (n + 1) s.${elemAt path n} else default;
    in
    go 0 set;
  must = path: set: getPath path (throw "cannot find attribute '${concatStringsSep "." path}'") set;
  longest = path: set:
    let
      count = length path;
      go = s: n: if n < count && isAttrs s && s ? ${elemAt path n} then go s.${elemAt path n} (n + 1) else take n path;
    in
    go set 0;
  setPath = path: value: foldl' (acc: name: { ${name} = acc; }) value (genList (n: elemAt path (length path - 1 - n)) (length path));
  foldlAttrs = f: init: set: foldl' (acc: name: f acc name set.${name}) init (attrNames set);
  foldAttrs = op: nul: sets:
    let foldr = list: if list == [ ] then nul else op (head list) (foldr (tail list)); in
    zipAttrsWith (_: foldr) sets;
  filterAttrs = keep: set: removeAttrs set (filter (n: !keep n set.${n}) (attrNames set));
  filterDeep = keep: set: listToAttrs (concatMap (n: let v = set.${n}; in if keep n v then [ (pair n (if isAttrs v then filterDeep keep v else v)) ] else [ ]) (attrNames set));
  mapPathCond = cond: f: set:
    let go = path: mapAttrs (n: v: if isAttrs v && cond v then go (path ++ [ n ]) v else f (path ++ [ n ]) v); in
    go [ ] set;
  mapPath = mapPathCond (_: true);
  mapTo = f: set: attrValues (mapAttrs f set);
  mapBoth = f: set: listToAttrs (mapTo f set);
  collect = wanted: set: if wanted set then [ set ] else if isAttrs set then concatMap (collect wanted) (attrValues set) else [ ];
  leaves = set: concatLists (mapTo (n: v: if isAttrs v && v != { } then map (l: l // { path = [ n ] ++ l.path; }) (leaves v) else [ { path = [ n ]; value = v; } ]) set);
  updateUntil = stop: left: right:
    let
      go = path: zipAttrsWith (n: values:
        let here = path ++ [ n ]; in
        if length values == 1 || stop here (elemAt values 1) (head values) then head values else go here values);
    in
    go [ ] [ right left ];
  update = updateUntil (_: l: r: !(isAttrs l && isAttrs r));
  # Each update at its path, the deeper ones first to be seen by the others.
  updateMany =
    let
      go = depth: hasValue: value: updates:
        let
          split = partition (u: length u.path == depth) updates;
          nested = groupBy (u: elemAt u.path depth) split.wrong;
          withNested =
            if split.wrong == [ ] then value
            else if !hasValue then mapAttrs (_: go (depth + 1) false null) nested
            else if isAttrs value then value // mapAttrs (n: go (depth + 1) (value ? ${n}) (value.${n} or (throw "unused"))) nested
            else throw "updateMany: the path ${concatStringsSep "." (take depth (head split.wrong).path)} is no set but a ${builtins.typeOf value}";
          hasNested = hasValue || split.wrong != [ ];
        in
        if split.right == [ ] then withNested
        else (foldl' (acc: u: { has = true; value = u.update (if acc.has then acc.value else throw "updateMany: no value at ${concatStringsSep "." u.path}"); }) { has = hasNested; value = withNested; } split.right).value;
    in
    updates: set: go 0 true set updates;
  product = set: foldl' (rows: n: concatMap (row: map (v: row // { ${n} = v; }) set.${n}) rows) [ { } ] (attrNames set);
  unionDisjoint = a: b:
    let both = intersectAttrs a b; in
    if both == { } then a // b
    else mapAttrs (n: _: throw "unionDisjoint: collision on ${n}") both // removeAttrs (a // b) (attrNames both);
  matches = pattern: set: all (n: set ? ${n} && (if isAttrs pattern.${n} then isAttrs set.${n} && matches pattern.${n} set.${n} else pattern.${n} == set.${n})) (attrNames pattern);
  recurse = set: set // { recurseForDerivations = true; };
  lazyUpdate = old: new: mapAttrs (n: v: new.${n} or v) old // removeAttrs new (attrNames old);
  tree = { a = { b = { c = 1; d = 2; }; list = [ 1 ]; }; "x y" = { z = null; }; e = { }; f = "s"; };
in
{
  has = map (p: hasPath p tree) [ [ ] [ "a" "b" "c" ] [ "a" "b" "c" "d" ] [ "x y" "z" ] [ "f" "s" ] ];
  get = [ (getPath [ "a" "b" "c" ] 0 tree) (getPath [ "f" "q" ] "default" tree) (getPath [ ] (throw "unused") 7) (tree.a.b.q or tree.a.list) (tree.f.g.h or "no") ];
  must = map (p: tryEval (must p tree)) [ [ "f" ] [ "a" "q" ] ];
  longest = map (p: longest p tree) [ [ "a" "b" "q" "r" ] [ "q" ] [ "f" "s" ] [ ] ];
  set = setPath [ "a" "b c" "d" ] 1;
  folded = [ (foldlAttrs (acc: n: v: acc ++ [ n (isAttrs v) ]) [ ] tree) (foldAttrs (x: acc: [ x ] ++ acc) [ ] [ { a = 1; b = 2; } { a = 3; } { c = throw "unused"; } ]).a ];
  filtered = [ (filterAttrs (n: v: !isAttrs v) tree) (filterDeep (n: v: v != { } && n != "c") tree) (attrNames (filterAttrs (n: _: n != "a") { a = throw "a"; b = throw "b"; })) ];
  mapped = [ (mapPath (p: v: concatStringsSep "/" p) tree) (mapPathCond (v: !(v ? c)) (p: v: length p) tree) (mapBoth (n: v: pair "${n}!" (builtins.typeOf v)) tree) ];
  collected = [ (collect isList tree) (collect (v: v ? c) tree) (leaves tree) ];
  updated = [ (update tree { a.b.c = 9; a.list = { }; e = null; "x y".w = 1; }) (updateUntil (p: _: _: p == [ "a" ]) tree { a.b.c = 9; }) (update { } tree == tree) ];
  many = updateMany [
    { path = [ "a" "b" "c" ]; update = old: old + 1; }
    { path = [ "a" "b" ]; update = old: old // { sum = old.c + old.d; }; }
    { path = [ "new" "deep" ]; update = _: "made"; }
    { path = [ "a" "b" "c" ]; update = old: old * 10; }
    { path = [ "f" ]; update = _: { }; }
  ] tree;
  manyWrong = map (u: (tryEval (builtins.deepSeq (updateMany [ u ] tree) true)).success) [
    { path = [ "f" "g" ]; update = x: x; }
    { path = [ "q" ]; update = x: x; }
    { path = [ "q" ]; update = _: 1; }
    { path = [ ]; update = _: 1; }
  ];
  product = [ (product { b = [ "x" "y" ]; a = [ 1 2 ]; }) (product { a = [ ]; b = [ 1 ]; }) (product { }) ];
  disjoint = [ (unionDisjoint { a = 1; } { b = 2; }) (mapAttrs (_: tryEval) (unionDisjoint { a = 1; c = 3; } { a = 2; })) ];
  matched = map (p: matches p tree) [ { } { a.b.c = 1; } { a.b = { c = 1; d = 3; }; } { f.g = 1; } { e = { }; } ];
  recursed = attrNames (recurse { });
  lazy = attrNames (lazyUpdate { a = throw "old"; b = throw "old"; } { b = throw "new"; c = throw "new"; });
  counts = mapAttrs (_: length) (groupBy (l: toString (length l.path)) (leaves tree));
}
