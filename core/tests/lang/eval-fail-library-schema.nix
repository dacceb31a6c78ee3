# A configuration checked against a schema, all mistakes told together, with places.
let
  inherit (builtins) addErrorContext attrNames concatMap concatStringsSep filter genList elemAt isAttrs isBool isInt isList isString length map match toJSON typeOf unsafeGetAttrPos;
  place = set: name: let p = unsafeGetAttrPos name set; in if p == null then "?" else "${toString p.line}:${toString p.column}";
  mistake = path: at: text: { path = if path == [ ] then "(top)" else concatStringsSep "." path; inherit at text; };
  checkers = {
    int = isInt; bool = isBool; string = isString;
  };
  check = schema: path: at: value:
    if isString schema then
      if checkers.${schema} value then [ ] else [ (mistake path at "${schema} expected, ${typeOf value} found") ]
    else if schema ? oneOf then
      if builtins.elem value schema.oneOf then [ ] else [ (mistake path at "one of ${toJSON schema.oneOf} expected, ${toJSON value} found") ]
    else if schema ? pattern then
      if isString value && match schema.pattern value != null then [ ] else [ (mistake path at "text like ${schema.pattern} expected") ]
    else if schema ? items then
      if !isList value then [ (mistake path at "list expected, ${typeOf value} found") ]
      else builtins.concatLists (genList (n: check schema.items (path ++ [ (toString n) ]) at (elemAt value n)) (length value))
    else if !isAttrs value then [ (mistake path at "set expected, ${typeOf value} found") ]
    else
      let required = schema.required or [ ]; fields = schema.fields or { }; in
      map (n: mistake (path ++ [ n ]) at "missing") (filter (n: !(value ? ${n})) required)
      ++ concatMap (n:
        if fields ? ${n} then addErrorContext "while checking the field `${n}':" (check fields.${n} (path ++ [ n ]) (place value n) value.${n})
        else if schema.open or false then [ ]
        else [ (mistake (path ++ [ n ]) (place value n) "unknown") ]) (attrNames value);
  validate = schema: value:
    let mistakes = check schema [ ] "0:0" value; in
    if mistakes == [ ] then value
    else throw "${toString (length mistakes)} mistakes:\n${concatStringsSep "\n" (map (m: "  ${m.path} (${m.at}): ${m.text}") mistakes)}";
  schema = {
    required = [ "name" "version" ];
    fields = {
      name.pattern = "[a-z][a-z0-9-]*";
      version = "string";
      level.oneOf = [ "debug" "info" 3 null ];
      inputs.items = { required = [ "url" ]; fields = { url = "string"; flake = "bool"; }; };
      extra = { open = true; fields.count = "int"; };
    };
  };
  good = { name = "ok-1"; version = "1"; level = null; inputs = [ { url = "x"; } ]; extra = { count = 1; other = throw "not looked at"; }; };
in
assert (validate schema good).name == "ok-1";
validate schema {
  name = "Not";
  level = "loud";
  inputs = [ { url = "x"; flake = 1; } "text" { flaek = true; } ];
  extra = { count = 1.5; "other one" = null; };
  "odd name" = throw "not looked at";
}
