# Writers of configuration formats, put together from small renderers.
let
  inherit (builtins) attrNames attrValues concatLists concatMap concatStringsSep elem filter foldl' fromJSON fromTOML genList isAttrs isBool isFloat isFunction isInt isList isPath isString length map mapAttrs match partition replaceStrings split stringLength toJSON toString typeOf;
  libAttr = f: set: attrValues (mapAttrs f set);
  lines = list: concatStringsSep "" (map (l: l + "\n") list);
  quote = text: "\"${replaceStrings [ "\\" "\"" "\n" ] [ "\\\\" "\\\"" "\\n" ] text}\"";
  scalar = { }: v:
    if isInt v then toString v
    else if isFloat v then toJSON v
    else if isString v then v
    else if true == v then "true"
    else if false == v then "false"
    else if null == v then "null"
    else if isList v then throw "a list is not a scalar: ${pretty { multiline = false; } v}"
    else if v ? outPath then v.outPath
    else throw "scalar: type ${typeOf v} is unsupported";
  keyValue = { mkValue ? scalar { }, separator ? "=" }: k: v: "${replaceStrings [ separator ] [ "\\${separator}" ] k}${separator}${mkValue v}";
  toKeyValue = { mkKeyValue ? keyValue { }, listsAsDuplicates ? false, indent ? "" }: set:
    let
      line = k: v: indent + mkKeyValue k v + "\n";
      entry = if listsAsDuplicates then k: v: map (line k) (if isList v then v else [ v ]) else k: v: [ (line k v) ];
    in
    concatStringsSep "" (concatLists (libAttr entry set));
  toINI = { mkSection ? (name: replaceStrings [ "[" "]" ] [ "\\[" "\\]" ] name), ... }@args: sections:
    concatStringsSep "\n" (libAttr (name: set: "[${mkSection name}]\n" + toKeyValue (removeAttrs args [ "mkSection" ]) set) sections);
  withGlobal = args: { globalSection, sections ? { } }:
    (if globalSection == { } then "" else toKeyValue args globalSection + "\n") + toINI args sections;
  toGit = set:
    let
      section = path: name: if path == [ ] then name else "${builtins.head path} \"${concatStringsSep "." (builtins.tail path ++ [ name ])}\"";
      go = path: set:
        let
          parts = partition (n: isAttrs set.${n}) (attrNames set);
          own = listOf: map (n: { inherit n; v = set.${n}; }) listOf;
        in
        (if parts.wrong == [ ] then [ ] else [ { inherit path; values = own parts.wrong; } ])
        ++ concatMap (n: go (path ++ [ n ]) set.${n}) parts.right;
      render = { path, values }:
        let last = builtins.elemAt path (length path - 1); in
        "[${section (genList (builtins.elemAt path) (length path - 1)) last}]\n"
        + concatStringsSep "" (concatMap (e: map (v: "\t${e.n} = ${if isString v && match ".*[ #;].*" v != null then quote v else scalar { } v}\n") (if isList e.v then e.v else [ e.v ])) values);
    in
    concatStringsSep "\n" (map render (go [ ] set));
  toTOML = set:
    let
      key = k: if match "[A-Za-z0-9_-]+" k == null then quote k else k;
      value = v:
        if isString v then quote v
        else if isList v then "[${concatStringsSep ", " (map value v)}]"
        else if isAttrs v then "{ ${concatStringsSep ", " (libAttr (k: x: "${key k} = ${value x}") v)} }"
        else scalar { } v;
      go = path: set:
        let
          isTable = n: isAttrs set.${n};
          isTables = n: isList set.${n} && set.${n} != [ ] && builtins.all isAttrs set.${n};
          plain = filter (n: !isTable n && !isTables n && set.${n} != null) (attrNames set);
          here = n: concatStringsSep "." (path ++ [ (key n) ]);
        in
        lines (map (n: "${key n} = ${value set.${n}}") plain)
        + concatStringsSep "" (map (n: "[${here n}]\n" + go (path ++ [ (key n) ]) set.${n}) (filter isTable (attrNames set)))
        + concatStringsSep "" (concatMap (n: map (t: "[[${here n}]]\n" + go (path ++ [ (key n) ]) t) set.${n}) (filter isTables (attrNames set)));
    in
    go [ ] set;
  toYAML = v:
    let
      pad = n: concatStringsSep "" (genList (_: "  ") n);
      block = depth: v:
        if isAttrs v && v != { } then concatStringsSep "" (libAttr (k: x: "\n${pad depth}${k}:${inner (depth + 1) x}") v)
        else if isList v && v != [ ] then concatStringsSep "" (map (x: "\n${pad depth}-${inner (depth + 1) x}") v)
        else inner depth v;
      inner = depth: v: if (isAttrs v && v != { }) || (isList v && v != [ ]) then block depth v else " " + toJSON v;
    in
    block 0 v + "\n";
  variant = rec {
    type = t: v: { _type = "gvariant"; type = t; value = v; __toString = self: "@${self.type} ${toString self.value}"; };
    make = v:
      if isBool v then type "b" v // { __toString = self: if self.value then "true" else "false"; }
      else if isInt v then type "i" v // { __toString = self: toString self.value; }
      else if isFloat v then type "d" v // { __toString = self: toJSON self.value; }
      else if isString v then type "s" v // { __toString = self: "'${replaceStrings [ "'" "\\" ] [ "\\'" "\\\\" ] self.value}'"; }
      else if isList v then array v
      else if v._type or null == "gvariant" then v
      else throw "variant: ${typeOf v} is unsupported";
    array = l:
      let items = map make l; in
      if l == [ ] then throw "variant: the type of an empty list is unknown"
      else if builtins.any (i: i.type != (builtins.head items).type) items then throw "variant: elements in a list should have same type"
      else type "a${(builtins.head items).type}" items // { __toString = self: "[${concatStringsSep "," (map toString self.value)}]"; };
    nothing = t: type "m${t}" null // { __toString = self: "@${self.type} nothing"; };
    tuple = l: let items = map make l; in type "(${concatStringsSep "" (map (i: i.type) items)})" items // { __toString = self: "(${concatStringsSep "," (map toString self.value)})"; };
  };
  pretty = { multiline ? true, limit ? null }:
    let
      go = depth: indent: v:
        let
          open = if multiline then "\n${indent}  " else " ";
          close = if multiline then "\n${indent}" else " ";
          next = go (depth + 1) (indent + "  ");
        in
        if limit != null && depth > limit then "<…>"
        else if isInt v then toString v
        else if isFloat v then "~${toString v}"
        else if isString v then (if multiline && match ".*\n.*" v != null then "''\n${concatStringsSep "\n" (map (l: indent + "  " + l) (filter isString (split "\n" v)))}''" else quote v)
        else if isList v then (if v == [ ] then "[ ]" else "[${open}${concatStringsSep open (map next v)}${close}]")
        else if isFunction v then
          let shown = concatStringsSep ", " (libAttr (n: d: if d then "${n}?" else n) (builtins.functionArgs v)); in
          if shown == "" then "<function>" else "<function, args: {${shown}}>"
        else if isAttrs v then
          if v ? __pretty && v ? val then v.__pretty v.val
          else if v == { } then "{ }"
          else if v ? type && v.type == "derivation" then "<derivation ${v.name or "???"}>"
          else "{${open}${concatStringsSep open (libAttr (n: x: "${if match "[a-z_][a-zA-Z0-9_]*" n == null then quote n else n} = ${builtins.addErrorContext "while evaluating an attribute `${n}'" (next x)};") v)}${close}}"
        else if isPath v then toString v
        else if v == null then "null"
        else toJSON v;
    in
    go 0 "";
  data = { b = [ 1 2.5 "x y" ]; a = { "k.1" = null; s = "multi\nline"; n = { }; e = [ ]; }; f = { x, y ? 1 }: x; g = x: x; d = { type = "derivation"; name = "n"; }; p = /a; z = true; custom = { __pretty = v: "<${v}>"; val = "v"; }; };
  config = { name = "x"; list = [ 1 2 ]; nested.table = { "a b" = 1; t = true; f = 1.5; }; rows = [ { n = 1; } { n = 2; tags = [ "a" ]; } ]; none = null; };
in
{
  ini = toINI { } { "a[1]" = { x = 1; "k=y" = true; }; b = { f = 1.25; n = null; s = "text"; }; };
  duplicates = toINI { listsAsDuplicates = true; mkSection = builtins.hashString "md5"; } { s = { l = [ 1 2 ]; m = 3; }; };
  global = [ (withGlobal { mkKeyValue = keyValue { separator = ": "; }; } { globalSection = { g = 1; }; sections = { s.x = 2; }; }) (withGlobal { } { globalSection = { }; }) ];
  git = toGit { user = { name = "A B"; email = "a@b"; }; url."https://x".insteadOf = [ "x:" "y:" ]; core.editor = "vi #1"; };
  toml = toTOML config;
  again = fromTOML (toTOML config) == removeAttrs config [ "none" ];
  yaml = toYAML (config // { "empty" = { }; l = [ [ 1 [ ] ] { } ]; });
  json = fromJSON (toJSON config) == config;
  variants = map (v: "${variant.make v}") [ true 1 1.5 "it's" [ 1 2 ] [ [ "a" ] [ "b" ] ] (variant.nothing "s") (variant.tuple [ 1 "a" [ false ] ]) ];
  kinds = map (v: (variant.make v).type) [ [ 1 ] (variant.tuple [ 1.0 "x" ]) [ [ true ] ] ];
  wrong = map (v: builtins.tryEval "${variant.make v}") [ [ ] [ 1 "a" ] null { } ];
  pretty = [ (pretty { } data) (pretty { multiline = false; } data) (pretty { limit = 1; } data) ];
  scalars = map (v: (builtins.tryEval (scalar { } v)).value) [ 1 (-1.0) 1.0e10 "s" true null [ ] { } { outPath = "/o"; } ];
}
