# A fixed point of 4000 modules with an option each and 200 000 definitions, merged and hashed as JSON.
let
  range = builtins.genList (i: i);
  module =
    i:
    { config, ... }:
    {
      options."option${toString i}" = {
        default = 0;
        merge = values: builtins.foldl' (a: b: a + b) 0 values;
      };
      config = builtins.listToAttrs (
        map (
          j:
          let
            k = i + j * 7;
            n = k - (k / 4000) * 4000;
          in
          {
            name = "option${toString n}";
            value = if n > i then 1 else 2;
          }
        ) (range 50)
      );
    };
  evaluate =
    modules:
    let
      loaded = map (module: module { inherit config; }) modules;
      options = builtins.foldl' (a: b: a // b) { } (map (module: module.options) loaded);
      definitions = builtins.zipAttrsWith (name: values: values) (map (module: module.config) loaded);
      config = builtins.mapAttrs (
        name: option: if definitions ? ${name} then option.merge definitions.${name} else option.default
      ) options;
    in
    config;
in
builtins.hashString "sha256" (builtins.toJSON (evaluate (map module (range 4000))))
