# A definition of the wrong type, told with its places and the trail of options.
let
  inherit (builtins) addErrorContext attrNames concatMap concatStringsSep filter foldl' head isAttrs isFunction length map mapAttrs typeOf unsafeGetAttrPos zipAttrsWith;
  mkOption = o: { _type = "option"; } // o;
  isOption = x: isAttrs x && x._type or "" == "option";
  at = set: name: let p = unsafeGetAttrPos name set; in if p == null then "<unknown>" else "${baseNameOf p.file}:${toString p.line}";
  shown = v:
    let depth = n: v:
      if isAttrs v then (if n == 0 then "{...}" else "{ ${concatStringsSep " " (map (k: "${k} = ${depth (n - 1) v.${k}};") (attrNames v))} }")
      else if builtins.isString v then builtins.toJSON v
      else if isFunction v then "<function>"
      else if builtins.isList v then "[ ${concatStringsSep " " (map (depth n) v)} ]"
      else toString v;
    in depth 1 v;
  showDefinitions = defs: concatStringsSep "" (map (d: "\n- In `${d.file}': ${shown d.value}") defs);
  types = {
    int = { description = "signed integer"; check = builtins.isInt; merge = path: defs: (head defs).value; };
    attrsOf = t: {
      description = "attribute set of ${t.description}";
      check = isAttrs;
      merge = path: defs: zipAttrsWith (name: found: evalDefinitions t (path ++ [ name ]) found) (map (d: mapAttrs (name: value: { file = at d.value name; inherit value; }) d.value) defs);
    };
  };
  evalDefinitions = type: path: defs:
    let wrong = filter (d: !type.check d.value) defs; in
    addErrorContext "while evaluating definitions from ${concatStringsSep ", " (map (d: "`${d.file}'") defs)}:" (
      if wrong == [ ] then type.merge path defs
      else throw "A definition for option `${concatStringsSep "." path}' is not of type `${type.description}'. Definition values:${showDefinitions wrong}");
  evalModules = modules:
    let
      loaded = map (m: if isFunction m then m { inherit config; } else m) modules;
      options = foldl' (a: m: a // (m.options or { })) { } loaded;
      config = mapAttrs (name: o:
        addErrorContext "while evaluating the option `${name}':" (evalDefinitions o.type [ name ]
          (concatMap (m: if m ? config && m.config ? ${name} then [ { file = at m.config name; value = m.config.${name}; } ] else [ ]) loaded))) options;
    in
    config;
  result = evalModules [
    { options.limits = mkOption { type = types.attrsOf (types.attrsOf types.int); }; options.total = mkOption { type = types.int; }; }
    ({ config, ... }: {
      config.total = foldl' (sum: user: sum + config.limits.${user}.files) 0 (attrNames config.limits);
      config.limits.alice = { files = 10; };
    })
    { config.limits.bob = { files = "many"; }; }
    { config.limits = { alice.open = 3; bob.files = [ 1 { a.b = 2; } (x: x) ]; }; }
  ];
in
assert result.limits.alice == { files = 10; open = 3; };
result.total
