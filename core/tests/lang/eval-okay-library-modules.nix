# A module system: types with merges, submodules, priorities, orders, freeform
# settings, arguments from the configuration, imports by key and assertions.
let
  inherit (builtins)
    addErrorContext all attrNames attrValues concatLists concatMap concatStringsSep elem filter foldl' functionArgs
    genericClosure head intersectAttrs isAttrs isBool isFunction isInt isList isString length listToAttrs map
    mapAttrs partition sort tail toJSON tryEval typeOf zipAttrsWith;

  is = kind: value: isAttrs value && value._type or null == kind;
  mkOption = fields: { _type = "option"; } // fields;
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkOrder = order: content: { _type = "order"; inherit order content; };
  mkForce = mkOverride 50;
  mkDefault = mkOverride 1000;
  mkBefore = mkOrder 500;
  mkAfter = mkOrder 1500;
  optional = condition: value: if condition then [ value ] else [ ];
  showPath = path: concatStringsSep "." (map (part: if builtins.match "[a-zA-Z_][a-zA-Z0-9_'-]*" part == null then toJSON part else part) path);
  showFiles = definitions: concatStringsSep " and " (map (d: "`${d.file}'") definitions);

  # Conditions go inwards, so that names do not depend on them.
  pushDown = value:
    if is "merge" value then concatMap pushDown value.contents
    else if is "if" value then map (mapAttrs (_: content: mkIf value.condition content)) (pushDown value.content)
    else if is "override" value then map (mapAttrs (_: content: mkOverride value.priority content)) (pushDown value.content)
    else [ value ];
  discharge = value:
    if is "merge" value then concatMap discharge value.contents
    else if is "if" value then
      if isBool value.condition then (if value.condition then discharge value.content else [ ])
      else throw "`mkIf' called with a condition of type ${typeOf value.condition}"
    else [ value ];
  highest = definitions:
    let
      priority = d: if is "override" d.value then d.value.priority else 100;
      best = foldl' (least: d: if priority d < least then priority d else least) 9999 definitions;
    in
    map (d: if is "override" d.value then d // { value = d.value.content; } else d) (filter (d: priority d == best) definitions);
  ordered = definitions:
    let
      order = d: if is "order" d.value then d.value.order else 1000;
      sorted = sort (a: b: order a < order b) definitions;
    in
    map (d: if is "order" d.value then d // { value = d.value.content; } else d) sorted;
  prepare = definitions: ordered (highest (concatMap (d: map (value: d // { inherit value; }) (discharge d.value)) definitions));

  unique = path: definitions:
    if length definitions == 1 then (head definitions).value
    else if all (d: d.value == (head definitions).value) definitions then (head definitions).value
    else throw "The option `${showPath path}' is defined in several ways, in ${showFiles definitions}.";
  evaluate = type: path: definitions:
    let
      ready = prepare definitions;
      wrong = filter (d: !type.check d.value) ready;
    in
    if wrong != [ ] then throw "A definition for option `${showPath path}' is not of type `${type.description}', in ${showFiles wrong}."
    else type.merge path ready;
  types = rec {
    plain = name: check: { inherit check; description = name; merge = unique; sub = _: { }; };
    int = plain "signed integer" isInt;
    bool = plain "boolean" isBool;
    str = plain "string" isString;
    raw = plain "raw value" (_: true);
    between = low: high: int // { description = "integer between ${toString low} and ${toString high}"; check = x: isInt x && x >= low && x <= high; };
    lines = str // { description = "strings concatenated with newlines"; merge = _: definitions: concatStringsSep "\n" (map (d: d.value) definitions); };
    enum = values: plain "one of ${concatStringsSep ", " (map toJSON values)}" (x: elem x values);
    nullOr = type: type // {
      description = "null or ${type.description}";
      check = x: x == null || type.check x;
      merge = path: definitions:
        let nulls = filter (d: d.value == null) definitions; in
        if length nulls == length definitions then null
        else if nulls != [ ] then throw "The option `${showPath path}' is defined both null and not null."
        else type.merge path definitions;
    };
    either = one: two: plain "${one.description} or ${two.description}" (x: one.check x || two.check x) // {
      merge = path: definitions:
        if all (d: one.check d.value) definitions then one.merge path definitions else two.merge path definitions;
    };
    listOf = item: plain "list of ${item.description}" isList // {
      merge = path: definitions:
        let
          number = offset: d: foldl' (acc: value: acc // { n = acc.n + 1; out = acc.out ++ [ (evaluate item (path ++ [ "[definition ${toString offset}-entry ${toString acc.n}]" ]) [ { inherit (d) file; inherit value; } ]) ]; }) { n = 1; out = [ ]; } d.value;
          go = offset: ds: if ds == [ ] then [ ] else (number offset (head ds)).out ++ go (offset + 1) (tail ds);
        in
        go 1 definitions;
      sub = path: item.sub (path ++ [ "*" ]);
    };
    attrsOf = item: plain "attribute set of ${item.description}" isAttrs // {
      merge = path: definitions:
        zipAttrsWith (name: evaluate item (path ++ [ name ]))
          (map (d: mapAttrs (_: value: { inherit (d) file; inherit value; }) d.value) (concatMap (d: map (value: d // { inherit value; }) (pushDown d.value)) definitions));
      sub = path: item.sub (path ++ [ "<name>" ]);
    };
    submodule = modules: plain "submodule" (x: isAttrs x || isFunction x) // {
      merge = path: definitions:
        (evalModules {
          inherit path;
          modules = modules ++ map (d: { _file = d.file; imports = [ d.value ]; }) definitions;
          args.name = builtins.elemAt path (length path - 1);
        }).config;
      sub = path: (evalModules { inherit path modules; args.name = "<name>"; }).options;
    };
  };

  # A module as written: a set or a function, with or without `config`.
  load = args: parent: index: module:
    let
      call = f: f (mapAttrs (name: _: addErrorContext "while evaluating the module argument `${name}' in ${parent}:" (args.${name} or args.config._module.args.${name})) (functionArgs f) // args);
      written = if isFunction module then call module else if isAttrs module then module else import module;
      file = written._file or "<unknown-file ${toString index}>";
      isFull = written ? config || written ? options;
      extra = removeAttrs written [ "_file" "key" "imports" "config" "options" "freeform" ];
    in
    if isFull && extra != { } then throw "Module `${file}' has an unsupported attribute `${head (attrNames extra)}'."
    else {
      key = written.key or "${parent}:${toString index}";
      inherit file;
      imports = written.imports or [ ];
      options = written.options or { };
      freeform = written.freeform or null;
      config = if isFull then written.config or { } else extra;
    };
  numbered = f: list: builtins.genList (n: f (n + 1) (builtins.elemAt list n)) (length list);

  evalModules = { modules, path ? [ ], args ? { } }:
    let
      all' = { inherit config options; } // args;
      closure = genericClosure {
        startSet = numbered (load all' "root") modules;
        operator = m: numbered (load all' m.key) m.imports;
      };
      freeform = foldl' (acc: m: if m.freeform == null then acc else m.freeform) null closure;
      definitions = concatMap (m: map (value: { inherit (m) file; inherit value; }) (pushDown m.config)) closure;
      declared = path: options: concatLists (attrValues (mapAttrs (name: o: if is "option" o then [ (path ++ [ name ]) ] else declared (path ++ [ name ]) o) options));
      mergeDeclarations = path: sets: zipAttrsWith (name: found:
        let inner = partition (f: is "option" f.value) found; in
        if inner.wrong == [ ] then
          if length found == 1 then (head found).value // { inherit (head found) file; }
          else throw "The option `${showPath (path ++ [ name ])}' is already declared, in ${showFiles (tail found)}."
        else mergeDeclarations (path ++ [ name ]) (map (f: mapAttrs (_: value: { inherit (f) file; inherit value; }) f.value) found)) sets;
      options = mergeDeclarations path (map (m: mapAttrs (_: value: { inherit (m) file; inherit value; }) m.options) closure);
      walk = here: options: definitions:
        let
          byName = zipAttrsWith (name: found: found) (map (d: mapAttrs (_: value: { inherit (d) file; inherit value; }) d.value) definitions);
          matched = mapAttrs (name: option:
            let found = byName.${name} or [ ]; place = here ++ [ name ]; in
            if is "option" option then
              let
                withDefault = found ++ optional (option ? default) { file = option.file; value = mkOverride 1500 option.default; };
              in
              addErrorContext "while evaluating the option `${showPath place}':" (
                if withDefault == [ ] then throw "The option `${showPath place}' has no value."
                else (option.apply or (x: x)) (evaluate option.type place withDefault))
            else walk place option (concatMap (d: map (value: d // { inherit value; }) (pushDown d.value)) found)) options;
          rest = removeAttrs byName (attrNames options ++ [ "_module" ]);
          free = mapAttrs (name: found: evaluate freeform (here ++ [ name ]) found) rest;
        in
        if rest == { } then matched
        else if freeform != null then free // matched
        else throw "The option `${showPath (here ++ [ (head (attrNames rest)) ])}' does not exist, in ${showFiles (head (attrValues rest))}.";
      config = walk path options definitions // {
        _module.args = foldl' (acc: d: acc // (d.value._module.args or { })) { } definitions;
      };
    in
    { config = removeAttrs config [ "_module" ]; inherit options; names = map showPath (declared path options); files = map (m: m.file) closure; };

  services = { config, options, name ? "top", ... }: {
    _file = "services.nix";
    key = "services";
    options.services = mkOption {
      default = { };
      type = types.attrsOf (types.submodule [
        ({ config, name, ... }: {
          _file = "service.nix";
          options = {
            enable = mkOption { type = types.bool; default = false; };
            title = mkOption { type = types.str; default = "service ${name}"; };
            port = mkOption { type = types.nullOr (types.between 1 65535); default = null; };
            after = mkOption { type = types.listOf types.str; default = [ ]; };
            unit = mkOption { type = types.lines; };
          };
          config.unit = mkMerge [ (mkBefore "# ${config.title}") (mkIf (config.port != null) "port=${toString config.port}") ];
        })
      ]);
    };
    options.assertions = mkOption { type = types.listOf types.raw; default = [ ]; };
    options.enabled = mkOption { type = types.listOf types.str; apply = sort (a: b: a > b); };
    config.enabled = filter (n: config.services.${n}.enable) (attrNames config.services);
  };
  site = { config, prefix, ... }: {
    _file = "site.nix";
    imports = [ services { key = "services"; } ];
    services = mkMerge [
      { web = { enable = true; port = mkDefault 80; after = [ "network" ]; unit = mkAfter "last"; }; }
      (mkIf (length config.assertions == 2) { log.enable = mkForce true; log.after = mkBefore [ "web" ]; })
      (mkIf (prefix == "no") { never = throw "not looked at"; })
    ];
    assertions = [
      { assertion = config.services.web.port != 80; message = "${prefix}: web must not be on 80"; }
      { assertion = length config.enabled == 2; message = "two services"; }
    ];
    _module.args.prefix = "site";
  };
  local = { _file = "local.nix"; services.web.port = 8080; services.log = { name, ... }: { after = [ name ]; enable = false; }; services."a b".title = mkForce "spaced"; };
  settings = {
    _file = "settings.nix";
    freeform = types.either types.int (types.attrsOf (types.listOf types.str));
    options.level = mkOption { type = types.enum [ "low" "high" ]; default = "low"; };
  };
  result = evalModules { modules = [ site local ]; };
  fails = modules: (tryEval (builtins.deepSeq (evalModules { inherit modules; }).config true)).success;
  message = filter (a: !a.assertion) (result.config.assertions ++ (evalModules { modules = [ site { _file = "x"; } ]; }).config.assertions);
in
{
  inherit (result) config names files;
  assertions = map (a: a.message) message;
  free = (evalModules { modules = [ settings { level = "high"; width = 3; extra = { names = [ "a" ]; }; } { extra.names = [ "b" ]; } ]; }).config;
  wrong = map fails [
    [ settings { level = "middle"; } ]
    [ settings { level = mkIf 1 "low"; } ]
    [ { options.a = mkOption { type = types.int; }; } { a = 1; } { a = 2; } ]
    [ { options.a = mkOption { type = types.int; }; } { a = 1; } { a = 1; } ]
    [ { options.a = mkOption { type = types.int; }; } { b = 1; } ]
    [ { options.a = mkOption { type = types.int; }; c = 1; } ]
    [ { options.a.b = mkOption { type = types.int; }; } { options.a.b = mkOption { type = types.int; }; } ]
    [ { options.a = mkOption { type = types.nullOr types.int; default = 1; }; } { a = null; } ]
  ];
  sub = result.options.services.type.sub [ "services" ] ? title;
}
