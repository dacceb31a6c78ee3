# Licences as values with operators, expressions over them, and policies.
let
  inherit (builtins) all any attrNames attrValues concatMap concatStringsSep elem filter foldl' groupBy head isAttrs isList isString length listToAttrs map mapAttrs match partition sort split tail tryEval zipAttrsWith;
  mkLicence = name: { fullName ? spdx, spdx ? null, free ? true, redistributable ? free, deprecated ? false, ... }@given:
    {
      inherit free redistributable deprecated;
      shortName = name;
      __toString = self: self.spdx or self.shortName or "?";
    } // (if spdx != null then { inherit spdx; url = "https://licences.example/${spdx}"; } else { }) // removeAttrs given [ "spdx" ] // { fullName = if fullName == null then name else fullName; };
  licences = mapAttrs mkLicence ({
    mit = { spdx = "MIT"; fullName = "MIT License"; };
    apache2 = { spdx = "Apache-2.0"; patents = true; };
    gpl2Only = { spdx = "GPL-2.0-only"; copyleft = true; };
    gpl2Plus = { spdx = "GPL-2.0-or-later"; copyleft = true; upgrades = [ "gpl3Plus" ]; };
    gpl3Plus = { spdx = "GPL-3.0-or-later"; copyleft = true; };
    unfree = { fullName = "Unfree"; free = false; };
    firmware = { fullName = "Firmware"; free = false; redistributable = true; };
    odd = { };
  } // {
    gpl2 = licences.gpl2Only // { deprecated = true; };
  });
  bySpdx = listToAttrs (concatMap (l: if l ? spdx && !l.deprecated then [ { name = l.spdx; value = l; } ] else [ ]) (attrValues licences));
  and = list: { operator = "AND"; inherit list; __toString = self: concatStringsSep " AND " (map paren self.list); };
  or' = list: { operator = "OR"; inherit list; __toString = self: concatStringsSep " OR " (map paren self.list); };
  with' = licence: exception: licence // { spdx = "${licence.spdx} WITH ${exception}"; inherit exception; };
  paren = x: if x ? operator then "(${x})" else "${x}";
  evaluate = pred: x:
    if isList x then all (evaluate pred) x
    else if x.operator or "" == "AND" then all (evaluate pred) x.list
    else if x.operator or "" == "OR" then any (evaluate pred) x.list
    else pred x;
  leaves = x: if isList x then concatMap leaves x else if x ? operator then concatMap leaves x.list else [ x ];
  parse = text:
    let
      tokens = filter (t: t != "") (concatMap (t: if isList t then t else filter isString (split " +" t)) (split "([()])" text));
      atom = ts:
        if ts == [ ] then throw "licence expected"
        else if head ts == "(" then let r = disjunction (tail ts); in if r.rest != [ ] && head r.rest == ")" then r // { rest = tail r.rest; } else throw "`)' expected"
        else {
          value = bySpdx.${head ts} or (throw "unknown licence `${head ts}'");
          rest = tail ts;
        };
      withException = ts: let r = atom ts; in if r.rest != [ ] && head r.rest == "WITH" then { value = with' r.value (head (tail r.rest)); rest = tail (tail r.rest); } else r;
      chain = word: make: next: ts:
        let
          go = acc: ts: if ts != [ ] && head ts == word then let r = next (tail ts); in go (acc ++ [ r.value ]) r.rest else { value = if length acc == 1 then head acc else make acc; rest = ts; };
          first = next ts;
        in
        go [ first.value ] first.rest;
      conjunction = chain "AND" and withException;
      disjunction = chain "OR" or' conjunction;
      result = disjunction tokens;
    in
    if result.rest == [ ] then result.value else throw "unread: ${concatStringsSep " " result.rest}";
  policy = { allow ? [ ], deny ? [ ], allowUnfree ? false }: pkg:
    let
      licence = pkg.meta.license or licences.odd;
      names = l: map (x: x.shortName) (leaves l);
      denied = filter (n: elem n deny) (names licence);
      free = evaluate (l: l.free || elem l.shortName allow) licence;
    in
    if denied != [ ] then { ok = false; reason = "denied: ${toString denied}"; }
    else if !free && !allowUnfree then { ok = false; reason = "unfree: ${if isList licence then toString licence else "${licence}"}"; }
    else { ok = true; };
  compatible = a: b: a == b || elem b.shortName (a.upgrades or [ ]) || elem a.shortName (b.upgrades or [ ]) || !(a.copyleft or false) || !(b.copyleft or false);
  packages = {
    a.meta.license = licences.mit;
    b.meta.license = [ licences.gpl2Plus licences.firmware ];
    c.meta.license = or' [ licences.unfree licences.apache2 ];
    d.meta.license = and [ licences.mit (or' [ licences.unfree licences.firmware ]) ];
    e = { };
    f.meta.license = licences.gpl2;
  };
  judge = p: mapAttrs (_: policy p) packages;
  matrix = names: mapAttrs (a: _: filter (b: compatible licences.${a} licences.${b}) names) (listToAttrs (map (name: { inherit name; value = null; }) names));
  texts = [ "MIT" "MIT OR Apache-2.0 AND GPL-2.0-only" "(MIT OR Apache-2.0) AND GPL-3.0-or-later WITH Classpath" "MIT AND" "( MIT" "MIT MIT" "Nothing" "((MIT))" ];
in
{
  names = mapAttrs (_: toString) licences;
  full = mapAttrs (_: l: l.fullName) licences;
  unfree = attrNames (listToAttrs (map (l: { name = l.shortName; value = l; }) (filter (l: !l.free) (attrValues licences))));
  equal = [ (licences.gpl2 == licences.gpl2Only) (licences.mit == bySpdx.MIT) ];
  parsed = map (t: let r = tryEval "${parse t}"; in if r.success then r.value else "(refused)") texts;
  strict = judge { };
  loose = judge { allowUnfree = true; deny = [ "gpl2Only" "apache2" ]; };
  allowed = filter (n: (judge { allow = [ "firmware" ]; }).${n}.ok) (attrNames packages);
  matrix = matrix [ "mit" "gpl2Only" "gpl2Plus" "gpl3Plus" ];
  grouped = mapAttrs (_: map (l: l.shortName)) (groupBy (l: if l.copyleft or false then "copyleft" else if l.free then "permissive" else "unfree") (attrValues licences));
  urls = zipAttrsWith (_: concatStringsSep " ") (map (l: if l ? url then { ${if l.deprecated then "old" else "current"} = l.url; } else { }) (attrValues licences));
  shown = "${licences.mit} and ${licences.odd}, ${with' licences.gpl2Only "Linking"}";
}
