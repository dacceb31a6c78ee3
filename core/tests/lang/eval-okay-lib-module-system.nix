# A small module system: options, definitions with priorities, merging by type.
let
  inherit (builtins) attrNames concatMap elem elemAt filter foldl' head isAttrs isFunction length listToAttrs map mapAttrs sort;
  mkOption = x: { _type = "option"; } // x;
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkForce = mkOverride 50;
  mkDefault = mkOverride 1000;
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  isType = t: x: isAttrs x && x ? _type && x._type == t;
  types = {
    int = { name = "integer"; check = builtins.isInt; merge = loc: defs: (head defs).value; };
    listOf = t: { name = "list of ${t.name}"; check = builtins.isList; merge = loc: defs: concatMap (d: d.value) defs; };
    attrsOf = t: { name = "attribute set of ${t.name}"; check = isAttrs; merge = loc: defs: foldl' (a: d: a // d.value) { } defs; };
    str = { name = "string"; check = builtins.isString; merge = loc: defs: (head defs).value; };
  };
  discharge = def:
    if isType "merge" def.value then concatMap (v: discharge (def // { value = v; })) def.value.contents
    else if isType "if" def.value then (if def.value.condition then discharge (def // { value = def.value.content; }) else [ ])
    else [ def ];
  priorityOf = def: if isType "override" def.value then def.value.priority else 100;
  strip = def: if isType "override" def.value then def // { value = def.value.content; } else def;
  filterPriority = defs:
    let best = foldl' (a: d: if priorityOf d < a then priorityOf d else a) 9999 defs;
    in map strip (filter (d: priorityOf d == best) defs);
  showLoc = loc: builtins.concatStringsSep "." loc;
  collect = modules: args: map (m: if isFunction m then m args else m) modules;
  eval = modules:
    let
      loaded = collect modules { inherit config; };
      options = foldl' (a: m: a // (m.options or { })) { } loaded;
      definitions = name: concatMap (m: if (m.config or { }) ? ${name} then discharge { value = m.config.${name}; file = m.file or "?"; } else [ ]) loaded;
      config = mapAttrs (name: option:
        let
          defs = filterPriority (definitions name ++ (if option ? default then [ { value = mkOverride 1500 option.default; file = "default"; } ] else [ ]));
          wrong = filter (d: ! option.type.check d.value) defs;
        in
        if defs == [ ] then throw "The option `${name}' was accessed but has no value defined."
        else if wrong != [ ] then throw "A definition for option `${showLoc [ name ]}' is not of type `${option.type.name}'. Defined in ${(head wrong).file}."
        else (option.apply or (x: x)) (option.type.merge [ name ] defs)) options;
    in config;
  base = {
    file = "base.nix";
    options = {
      port = mkOption { type = types.int; default = 80; };
      names = mkOption { type = types.listOf types.str; default = [ ]; apply = sort builtins.lessThan; };
      env = mkOption { type = types.attrsOf types.str; default = { }; };
      title = mkOption { type = types.str; };
    };
  };
  user = { config, ... }: {
    file = "user.nix";
    config = {
      port = mkDefault 8080;
      names = mkMerge [ [ "b" ] (mkIf (config.port > 80) [ "a" ]) (mkIf false (throw "not looked at")) ];
      env = { PORT = toString config.port; };
      title = "t";
    };
  };
  force = { file = "force.nix"; config = { port = mkForce 443; env = mkIf true { TLS = "1"; }; }; };
  bad = { file = "bad.nix"; config.port = "x"; };
in
[
  (eval [ base user ])
  (eval [ base user force ])
  (builtins.tryEval (eval [ base ]).title)
  (builtins.tryEval (eval [ base bad ]).port)
  (attrNames (eval [ base ]))
]
