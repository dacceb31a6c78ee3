# Documentation taken from option declarations: names, places and texts.
let
  inherit (builtins) attrNames concatLists concatMap concatStringsSep filter foldl' isAttrs isFunction isList isString length map mapAttrs match replaceStrings sort split stringLength substring toJSON unsafeGetAttrPos;
  literal = text: { _type = "literalExpression"; inherit text; };
  mkOption = { default ? null, ... }@fields: { _type = "option"; } // fields;
  mkEnable = what: mkOption { default = false; example = true; type = types.bool; description = "Whether to enable ${what}."; };
  types = {
    bool = { name = "bool"; description = "boolean"; };
    str = { name = "str"; description = "string"; };
    port = { name = "port"; description = "16 bit unsigned integer; between 0 and 65535 (both inclusive)"; };
    listOf = t: { name = "listOf"; description = "list of ${if match ".* .*" t.description != null then "(${t.description})" else t.description}"; nested = t; };
    attrsOf = t: { name = "attrsOf"; description = "attribute set of ${t.description}"; nested = t; __functor = self: path: (t.options or (_: { })) (path ++ [ "<name>" ]); };
    submodule = f: { name = "submodule"; description = "submodule"; options = path: f { name = "‹name›"; inherit path; }; };
    functionTo = t: { name = "functionTo"; description = "function that evaluates to a(n) ${t.description}"; };
  };
  options = {
    boot.loader = {
      timeout = mkOption { type = types.port; default = 5; description = "Seconds before the default entry."; example = 10; };
      entries = mkOption { type = types.listOf types.port; default = [ ]; defaultText = literal "config.boot.entries"; };
    };
    "weird name".enable = mkEnable "the \"weird\" thing";
    users = mkOption {
      type = types.attrsOf (types.submodule ({ name, path }: {
        shell = mkOption { type = types.str; default = "/bin/sh"; description = "Shell of ${name} at ${toString (length path)}."; };
        hidden = mkOption { type = types.str; visible = false; };
        internal.deep = mkOption { type = types.functionTo types.bool; internal = true; default = x: true; };
        quota = mkOption { type = types.port; readOnly = true; default = { value = 1.5; list = [ null true "a\"b\${c}" ]; }; };
      }));
      description = ''
        Accounts.
          Each has a *shell*.
      '';
      relatedPackages = [ "a" "b" ];
    };
  };
  showName = path: concatStringsSep "." (map (p: if match "[a-zA-Z_<][a-zA-Z0-9_>-]*" p == null then toJSON p else p) path);
  indent = n: concatStringsSep "" (builtins.genList (_: " ") n);
  pretty = depth: v:
    if isList v then (if v == [ ] then "[ ]" else "[\n" + concatStringsSep "" (map (x: "${indent (depth + 2)}${pretty (depth + 2) x}\n") v) + "${indent depth}]")
    else if isAttrs v && v._type or "" == "literalExpression" then v.text
    else if isAttrs v then "{\n" + concatStringsSep "" (concatLists (builtins.attrValues (mapAttrs (n: x: [ "${indent (depth + 2)}${n} = ${pretty (depth + 2) x};\n" ]) v))) + "${indent depth}}"
    else if isFunction v then "<function>"
    else if v == null then "null"
    else if isString v then ''"${replaceStrings [ "\\" "\"" "\${" ] [ "\\\\" "\\\"" "\\\${" ] v}"''
    else if builtins.isBool v then (if v then "true" else "false")
    else toString v;
  collect = path: set: concatMap (name:
    let
      o = set.${name};
      here = path ++ [ name ];
      at = unsafeGetAttrPos name set;
      nested = if o.type ? __functor then o.type here else { };
    in
    if o._type or "" != "option" then collect here o
    else if !(o.visible or true) then [ ]
    else [
      ({
        name = showName here;
        loc = here;
        type = o.type.description;
        line = at.line;
        column = at.column;
        readOnly = o.readOnly or false;
        internal = o.internal or false;
      } // (if o ? description then { inherit (o) description; } else { description = null; })
      // (if o ? default then { default = pretty 0 (o.defaultText or o.default); } else { })
      // (if o ? example then { example = pretty 0 o.example; } else { })
      // (if o ? relatedPackages then { related = map (p: "`pkgs.${p}`") o.relatedPackages; } else { }))
    ] ++ collect here nested) (attrNames set);
  found = collect [ ] options;
  markdown = o: ''
    ## ${replaceStrings [ "<" ">" ] [ "&lt;" "&gt;" ] o.name}

    ${if o.description == null then "(no description)" else o.description}
    *Type:* ${o.type}${if o.readOnly then " *(read only)*" else ""}
    ${if o ? default then ''
      *Default:*
      `${o.default}`'' else ""}
  '';
  wrap = width: text:
    let
      words = filter (w: isString w && w != "") (split "[ \n]+" text);
      add = acc: w:
        if acc.line == "" then acc // { line = w; }
        else if stringLength acc.line + 1 + stringLength w <= width then acc // { line = "${acc.line} ${w}"; }
        else { done = acc.done ++ [ acc.line ]; line = w; };
      end = foldl' add { done = [ ]; line = ""; } words;
    in
    end.done ++ (if end.line == "" then [ ] else [ end.line ]);
in
{
  inherit found;
  visible = map (o: o.name) (filter (o: !o.internal) found);
  json = toJSON (mapAttrs (_: o: removeAttrs o [ "name" ]) (builtins.listToAttrs (map (o: { inherit (o) name; value = o; }) found)));
  text = concatStringsSep "\n" (map markdown found);
  wrapped = concatMap (o: wrap 20 (if o.description == null then "" else o.description)) found;
  longest = foldl' (a: b: if stringLength a >= stringLength b then a else b) "" (map (o: o.name) found);
  ends = map (o: substring (stringLength o.name - 4) 4 o.name) found;
  byLine = map (o: o.line - (builtins.head found).line) (sort (a: b: a.line < b.line) found);
}
