# A package whose argument nobody has, with the names that are near.
let
  inherit (builtins) attrNames concatStringsSep elem filter foldl' functionArgs genList head intersectAttrs length map sort stringLength substring unsafeGetAttrPos;
  distance = a: b:
    let
      min = x: y: if x < y then x else y;
      go = i: j:
        if i == 0 then j else if j == 0 then i
        else if substring (i - 1) 1 a == substring (j - 1) 1 b then go (i - 1) (j - 1)
        else 1 + min (min (go (i - 1) j) (go i (j - 1))) (go (i - 1) (j - 1));
    in
    go (stringLength a) (stringLength b);
  suggestions = scope: name:
    let
      near = filter (s: distance s name <= 2) (attrNames scope);
      sorted = sort (a: b: distance a name < distance b name) near;
      quoted = map (s: "\"${s}\"") sorted;
      n = length quoted;
    in
    if n == 0 then ""
    else if n == 1 then "; near: ${head quoted}"
    else "; near: ${concatStringsSep ", " (genList (builtins.elemAt quoted) (n - 1))} and ${builtins.elemAt quoted (n - 1)}";
  callWith = scope: f: more:
    let
      wanted = functionArgs f;
      missing = filter (name: !(wanted.${name} || scope ? ${name} || more ? ${name})) (attrNames wanted);
      message = name:
        let place = unsafeGetAttrPos name wanted; in
        "nothing in scope for argument \"${name}\" at ${baseNameOf place.file}:${toString place.line}${suggestions scope name}";
    in
    if missing == [ ] then f (intersectAttrs wanted scope // more) else throw (message (head missing));
  scope = {
    zlib = "z";
    libxml = throw "not looked at";
    libyml = throw "not looked at";
    callPackage = callWith scope;
  };
  first = scope.callPackage ({ zlib, level ? 9 }: "${zlib}${toString level}") { level = 1; };
in
assert first == "z1";
scope.callPackage
  ({ zlib
   , libml
   , other ? null
   }: "${zlib}${libml}")
  { }
