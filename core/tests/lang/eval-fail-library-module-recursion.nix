# A condition that asks for the configuration that it conditions.
let
  inherit (builtins) addErrorContext attrNames concatMap elem filter foldl' isAttrs isFunction map mapAttrs;
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  discharge = v:
    if v._type or "" == "merge" then concatMap discharge v.contents
    else if v._type or "" == "if" then if v.condition then discharge v.content else [ ]
    else [ v ];
  pushDown = config:
    if config._type or "" == "merge" then concatMap pushDown config.contents
    else if config._type or "" == "if" then map (mapAttrs (_: mkIf config.condition)) (pushDown config.content)
    else [ config ];
  evalModules = modules:
    let
      loaded = map (m: if isFunction m then m { inherit config; } else m) modules;
      configs = concatMap (m: pushDown (m.config or { })) loaded;
      declared = foldl' (a: m: a // (m.options or { })) { } loaded;
      config = mapAttrs (name: merge: addErrorContext "while evaluating the option `${name}':"
        (merge (concatMap (c: if c ? ${name} then discharge c.${name} else [ ]) configs))) declared;
    in
    config;
  any = foldl' (a: b: a || b) false;
  modules = [
    { options = { enable = any; log = any; names = builtins.concatLists; }; }
    ({ config, ... }: { config = mkIf config.log { names = [ "log" ]; }; })
    ({ config, ... }: {
      config = mkMerge [
        { names = [ "base" ]; enable = true; }
        (mkIf config.enable { log = mkIf (elem "log" config.names) true; })
      ];
    })
  ];
  fine = evalModules [ (builtins.head modules) { config = mkIf true { log = true; names = [ "n" ]; }; } ];
in
assert fine == { enable = false; log = true; names = [ "n" ]; };
(evalModules modules).names
