# What a library does to attribute sets.
let
  inherit (builtins) attrNames attrValues concatMap foldl' hasAttr isAttrs length listToAttrs mapAttrs zipAttrsWith head elemAt tail all;
  nameValue = name: value: { inherit name value; };
  filterAttrs = p: s: listToAttrs (concatMap (n: if p n s.${n} then [ (nameValue n s.${n}) ] else [ ]) (attrNames s));
  attrByPath = path: default: s: if path == [ ] then s else if isAttrs s && s ? ${head path} then attrByPath (tail path) default s.${head path} else default;
  setByPath = path: v: if path == [ ] then v else { ${head path} = setByPath (tail path) v; };
  recursiveUpdateUntil = p: l: r:
    let f = path: zipAttrsWith (n: vs: if length vs == 1 || p (path ++ [ n ]) (elemAt vs 1) (head vs) then head vs else f (path ++ [ n ]) vs);
    in f [ ] [ r l ];
  recursiveUpdate = recursiveUpdateUntil (path: l: r: !(isAttrs l && isAttrs r));
  mapRecursive = f: mapAttrs (n: v: if isAttrs v then mapRecursive f v else f v);
  collect = p: s: if p s then [ s ] else if isAttrs s then concatMap (collect p) (attrValues s) else [ ];
  genAttrs = names: f: listToAttrs (map (n: nameValue n (f n)) names);
  cartesian = s: foldl' (acc: n: concatMap (a: map (v: a // { ${n} = v; }) s.${n}) acc) [ { } ] (attrNames s);
in
{
  filtered = filterAttrs (n: v: v > 1) { a = 1; b = 2; c = 3; };
  byPath = [ (attrByPath [ "a" "b" ] 0 { a.b = 1; }) (attrByPath [ "a" "x" ] 0 { a.b = 1; }) (attrByPath [ "a" "b" "c" ] 0 { a.b = 1; }) ];
  set = setByPath [ "a" "b c" "d" ] 1;
  updated = recursiveUpdate { a = { x = 1; y = { z = 1; }; }; b = 2; } { a = { y = { w = 2; }; x = null; }; c = 3; };
  mapped = mapRecursive (x: x + 1) { a = 1; b.c = 2; };
  collected = collect builtins.isInt { a = 1; b.c = 2; d = "no"; };
  generated = genAttrs [ "z" "a" ] (n: n + n);
  product = cartesian { a = [ 1 2 ]; b = [ "x" "y" ]; };
}
