# A set of sections as INI and as flags.
let
  inherit (builtins) attrNames concatStringsSep map isBool isInt isString isList replaceStrings toJSON;
  mkValue = v: if isInt v then toString v else if isString v then v else if v == true then "true" else if v == false then "false" else if v == null then "null" else throw "generators: type ${builtins.typeOf v} not supported";
  escape = chars: replaceStrings chars (map (c: "\\${c}") chars);
  mkKeyValue = k: v: "${escape [ "=" ] k}=${mkValue v}";
  toKeyValue = attrs: concatStringsSep "" (map (k: mkKeyValue k attrs.${k} + "\n") (attrNames attrs));
  toINI = sections: concatStringsSep "\n" (map (s: "[${escape [ "[" "]" ] s}]\n" + toKeyValue sections.${s}) (attrNames sections));
in
[
  (toINI { global = { a = 1; "b=c" = true; s = "x y"; n = null; }; "we[ird]" = { k = "v"; }; empty = { }; })
  (builtins.tryEval (toINI { a.b = [ 1 ]; }))
  (toKeyValue { z = 1; a = "2"; })
]
