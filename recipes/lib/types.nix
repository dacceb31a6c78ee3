# Types of options. A type says whether one value fits (`check`), how to say
# what it wants (`description`), and how several definitions become one
# (`merge`): from the option's path and a list of { value, site }.
lib:
let
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    head
    isAttrs
    isBool
    isInt
    isList
    isString
    length
    listToAttrs
    map
    toJSON
    ;

  showPath = concatStringsSep ".";

  conflict =
    path: definitions:
    throw "option '${showPath path}' is defined more than once with different values: ${
      concatStringsSep ", " (map (d: "${show d.value} at ${d.site}") definitions)
    }";

  # Short and safe for whatever a user may have written.
  show =
    value:
    if isString value || isInt value || isBool value || value == null then
      toJSON value
    else if isList value then
      "a list"
    else if isAttrs value then
      "a set"
    else
      "a ${builtins.typeOf value}";

  one =
    path: definitions:
    let
      first = head definitions;
    in
    if all (d: d.value == first.value) definitions then first.value else conflict path definitions;

  scalar = description: check: {
    inherit description check;
    merge = one;
  };

  checked =
    type: path: definition:
    if type.check definition.value then
      definition
    else
      throw "option '${showPath path}' must be ${type.description}, but ${show definition.value} was given at ${definition.site}";

  mergeChecked =
    type: path: definitions:
    type.merge path (map (checked type path) definitions);

  isPackage = value: isAttrs value && value.type or null == "derivation" && value ? pname;
in
rec {
  inherit show mergeChecked;

  str = scalar "a string" isString;
  int = scalar "an integer" isInt;
  bool = scalar "true or false" isBool;
  anything = scalar "any value" (_: true);
  package = {
    description = "a package";
    check = isPackage;
    merge =
      path: definitions:
      if length definitions == 1 then (head definitions).value else conflict path definitions;
  };
  path = scalar "a path" (value: builtins.isPath value || isString value || isPackage value);

  # A string made of lines: several definitions are put one after the other.
  lines = {
    description = "lines of text";
    check = isString;
    merge = _: definitions: concatStringsSep "\n" (map (d: d.value) definitions);
  };

  # SemVer 2.0.0, section 2 and 9, without build metadata.
  semver = scalar "a version as in SemVer 2.0.0 (1.2.3 or 1.2.3-rc.1)" (
    value:
    isString value
    && builtins.match "(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?" value != null
  );

  unsigned = scalar "an integer of at least 0" (value: isInt value && value >= 0);
  positive = scalar "an integer of at least 1" (value: isInt value && value >= 1);

  enum = values: scalar "one of ${concatStringsSep ", " (map show values)}" (value: elem value values);

  nullOr = type: {
    description = "null or ${type.description}";
    check = value: value == null || type.check value;
    merge =
      path: definitions:
      if all (d: d.value == null) definitions then
        null
      else if any (d: d.value == null) definitions then
        conflict path definitions
      else
        type.merge path definitions;
  };

  either = left: right: {
    description = "${left.description} or ${right.description}";
    check = value: left.check value || right.check value;
    merge =
      path: definitions:
      if all (d: left.check d.value) definitions then
        left.merge path definitions
      else if all (d: right.check d.value) definitions then
        right.merge path definitions
      else
        conflict path definitions;
  };

  # Definitions are appended, in the order of the modules.
  listOf = type: {
    description = "a list, each ${type.description}";
    check = isList;
    merge =
      path: definitions:
      concatLists (
        map (
          definition:
          builtins.genList (
            index:
            mergeChecked type (path ++ [ (toString index) ]) [
              {
                value = builtins.elemAt definition.value index;
                inherit (definition) site;
              }
            ]
          ) (length definition.value)
        ) definitions
      );
  };

  attrsOf = type: {
    description = "a set, each ${type.description}";
    check = value: isAttrs value && !isPackage value;
    merge =
      path: definitions:
      let
        names = lib.unique (concatMap (d: attrNames d.value) definitions);
        member = name: {
          inherit name;
          # Priorities count for each member by itself.
          value = mergeChecked type (path ++ [ name ]) (
            lib.prevailing (
              concatMap (
                d:
                lib.optional (d.value ? ${name}) {
                  value = d.value.${name};
                  site = lib.attributeSite d.value name d.site;
                }
              ) definitions
            )
          );
        };
      in
      listToAttrs (map member names);
  };

  # A set with options of its own.
  submodule = options: {
    description = "a set with the options ${concatStringsSep ", " (attrNames options)}";
    check = value: isAttrs value && !isPackage value;
    inherit options;
    merge =
      path: definitions:
      lib.mergeOptions {
        inherit path options;
        definitions = map (d: {
          config = d.value;
          inherit (d) site;
        }) definitions;
      };
  };
}
