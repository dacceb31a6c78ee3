# Types that check, merge and explain: structural, with functors, unions and coercions.
let
  inherit (builtins) all any attrNames attrValues concatLists concatMap concatStringsSep elem elemAt filter foldl' functionArgs genList head isAttrs isBool isFloat isFunction isInt isList isPath isString length listToAttrs map mapAttrs match split stringLength tail toJSON tryEval typeOf zipAttrsWith;
  mkType = { name, check ? _: true, explain ? null, functor ? { }, ... }@args:
    let
      self = {
        inherit name check;
        explain = if explain != null then explain else v: if self.check v then [ ] else [ "expected ${name}, got ${typeOf v}" ];
        functor = { type = null; wrapped = [ ]; payload = null; } // functor;
        __toString = t: t.name;
        __functor = t: v: let e = t.explain v; in if e == [ ] then v else throw "not ${t}: ${concatStringsSep "; " e}";
        where = what: pred: mkType { name = "${name} that ${what}"; check = v: self.check v && pred v; functor = self.functor // { refined = true; }; };
      } // removeAttrs args [ "functor" "explain" ];
    in
    self;
  inside = where: map (e: "${where}: ${e}");
  t = rec {
    any' = mkType { name = "anything"; };
    int = mkType { name = "int"; check = isInt; };
    float = mkType { name = "float"; check = isFloat; };
    number = oneOf [ int float ];
    bool = mkType { name = "bool"; check = isBool; };
    string = mkType { name = "string"; check = isString; };
    path = mkType { name = "path"; check = v: isPath v || (isString v && match "/.*" v != null); };
    function = mkType { name = "function"; check = v: isFunction v || v ? __functor; };
    null' = mkType { name = "null"; check = v: v == null; };
    matching = re: string.where "matches ${re}" (v: match re v != null);
    between = a: b: int.where "is between ${toString a} and ${toString b}" (v: v >= a && v <= b);
    enum = values: mkType { name = concatStringsSep " | " (map toJSON values); check = v: elem v values; functor = { type = "enum"; payload = values; }; };
    list = item: mkType {
      name = "[${item}]";
      check = v: isList v && all item.check v;
      explain = v: if !isList v then [ "expected a list, got ${typeOf v}" ] else concatLists (genList (n: inside "item ${toString n}" (item.explain (elemAt v n))) (length v));
      functor = { type = "list"; wrapped = [ item ]; };
    };
    map' = item: mkType {
      name = "{ *: ${item} }";
      check = v: isAttrs v && all item.check (attrValues v);
      explain = v: if !isAttrs v then [ "expected a set, got ${typeOf v}" ] else concatLists (attrValues (mapAttrs (n: x: inside n (item.explain x)) v));
      functor = { type = "map"; wrapped = [ item ]; };
    };
    option = item: oneOf [ null' item ] // { optional = true; };
    oneOf = types: mkType {
      name = concatStringsSep " or " (map toString types);
      check = v: any (x: x.check v) types;
      functor = { type = "oneOf"; wrapped = types; };
    };
    record = fields: mkType {
      name = "{ ${concatStringsSep ", " (attrValues (mapAttrs (n: f: "${n}${if f.optional or false then "?" else ""}: ${f}") fields))} }";
      check = v: (record fields).explain v == [ ];
      explain = v:
        if !isAttrs v then [ "expected a set, got ${typeOf v}" ]
        else concatMap (n: if v ? ${n} then inside n (fields.${n}.explain v.${n}) else if fields.${n}.optional or false then [ ] else [ "${n} is missing" ]) (attrNames fields)
          ++ map (n: "${n} is unknown") (filter (n: !(fields ? ${n})) (attrNames v));
      functor = { type = "record"; payload = fields; };
    };
    lazy = name: f: mkType { inherit name; check = v: (f { }).check v; explain = v: (f { }).explain v; };
    tree = lazy "tree" (_: record { value = int; children = option (list tree); });
    arrow = from: to: mkType { name = "${from} -> ${to}"; check = function.check; functor = { type = "arrow"; wrapped = [ from to ]; }; wrap = f: x: to (f (from x)); };
    coerced = from: f: to: mkType { name = "${to}, from ${from}"; check = v: to.check v || from.check v; explain = v: if from.check v then to.explain (f v) else to.explain v; apply = v: if from.check v then f v else v; };
  };
  same = a: b: a.functor.type == b.functor.type && a.functor.type != null && length a.functor.wrapped == length b.functor.wrapped && all (n: let x = elemAt a.functor.wrapped n; y = elemAt b.functor.wrapped n; in same x y || x.name == y.name) (genList (n: n) (length a.functor.wrapped)) && (a.functor.payload == b.functor.payload);
  merge = a: b: if same a b then a else if a.functor.type == "enum" && b.functor.type == "enum" then t.enum (a.functor.payload ++ filter (v: !elem v a.functor.payload) b.functor.payload) else throw "${a} and ${b} do not merge";
  service = t.record { name = t.matching "[a-z]+"; port = t.between 1 65535; tags = t.option (t.list t.string); log = t.enum [ "low" "high" 3 ]; };
  values = [ 1 1.5 "s" "/x" ./types null true [ ] [ 1 "a" ] { } { a = 1; } (x: x) { __functor = _: x: x; } { name = "web"; port = 80; log = 3; } { name = "Web"; port = 0; tags = [ 1 null ]; extra = 1; } ];
  table = mapAttrs (_: type: concatStringsSep "" (map (v: if type.check v then "x" else ".") values)) (removeAttrs t [ "matching" "between" "enum" "list" "map'" "option" "oneOf" "record" "lazy" "arrow" "coerced" ] // { inherit service; ints = t.list t.int; numbers = t.map' t.number; maybe = t.option t.string; });
  outcome = type: v: let r = tryEval (builtins.deepSeq (type v) (type v)); in if r.success then "ok" else concatStringsSep "; " (type.explain v);
  deepTree = n: { value = n; } // (if n == 0 then { } else { children = map deepTree [ (n - 1) (n - 1) ]; });
in
{
  names = mapAttrs (_: toString) { inherit service; inherit (t) tree number; nested = t.list (t.option (t.map' t.int)); f = t.arrow t.int (t.list t.string); };
  inherit table;
  explained = map (outcome service) values;
  trees = map (outcome t.tree) [ (deepTree 4) { value = "x"; } { value = 1; children = [ { value = 2; } { } { value = 3; children = 4; } ]; } ];
  wrapped = [ ((t.arrow t.int t.string).wrap toString 5) (tryEval ((t.arrow t.int t.string).wrap (x: x) 5)) (tryEval ((t.arrow t.int t.string).wrap toString "5")) ];
  coerced = let c = t.coerced t.int toString (t.matching "[0-9]{2}"); in [ "${c}" (map (outcome c) [ 5 55 "7" "77" null ]) (c.apply 12) ];
  merged = [ "${merge (t.enum [ 1 2 ]) (t.enum [ 2 3 ])}" "${merge (t.list t.int) (t.list t.int)}" (tryEval "${merge t.int t.float}") (same (t.option t.int) (t.option t.float)) (same (t.enum [ 1 ]) (t.enum [ 1.0 ])) ];
  refined = let even = t.int.where "is even" (n: builtins.bitAnd n 1 == 0); in [ "${even}" (map even.check [ 1 2 "2" ]) (tryEval (even 3)).success (even 4) ];
  called = map (type: (tryEval (type 1)).success) [ t.int t.float t.number (t.list t.int) (t.option t.int) ];
}
