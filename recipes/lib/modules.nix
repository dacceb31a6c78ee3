# The module system: typed options, defaults, priorities, merging, and errors
# that name the option, where it was set, and the type.
#
# A module is { imports; options; config; }, or only what `config` would hold,
# or a function of { config, pkgs, lib, ... } to one of these.
lib:
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    concatStringsSep
    filter
    foldl'
    functionArgs
    head
    intersectAttrs
    isAttrs
    isFunction
    isPath
    length
    listToAttrs
    map
    removeAttrs
    sort
    ;

  # Smaller wins: `mkForce` over a plain definition over `mkDefault`.
  priorities = {
    force = 50;
    plain = 100;
    default = 1000;
  };
  prioritised = priority: value: {
    _override = {
      inherit priority value;
    };
  };

  showPath = concatStringsSep ".";

  siteOf =
    position: fallback:
    if position == null then fallback else "${position.file}:${toString position.line}";
  attributeSite =
    set: name: fallback:
    siteOf (builtins.unsafeGetAttrPos name set) fallback;

  # --- Loading -------------------------------------------------------------

  loadModule =
    arguments: module:
    let
      file = if isPath module then toString module else "<inline module>";
      raw = if isPath module then import module else module;
      value =
        if isFunction raw then raw (intersectAttrs (functionArgs raw) arguments) else raw;
      isStructured = value ? options || value ? config || value ? imports;
      shape = if isStructured then value else { config = value; };
    in
    concatLists (map (loadModule arguments) (shape.imports or [ ]))
    ++ [
      {
        site = value._file or file;
        options = shape.options or { };
        config = removeAttrs (shape.config or { }) [ "_file" ];
      }
    ];

  isOption = value: isAttrs value && value._type or null == "option";

  # --- Options of several modules become one tree ---------------------------

  mergeDeclarations =
    path: left: right:
    foldl' (
      merged: name:
      let
        here = path ++ [ name ];
        old = merged.${name};
        new = right.${name};
      in
      merged
      // {
        ${name} =
          if !(merged ? ${name}) then
            new
          else if isOption old || isOption new then
            throw "option '${showPath here}' is declared twice"
          else
            mergeDeclarations here old new;
      }
    ) left (attrNames right);

  # --- Definitions meet declarations -----------------------------------------

  # { path, options, definitions = [ { config, site } ] } → values.
  mergeOptions =
    {
      path,
      options,
      definitions,
    }:
    let
      unknown = concatMap (
        definition:
        map (name: {
          inherit name;
          site = attributeSite definition.config name definition.site;
        }) (filter (name: !(options ? ${name})) (attrNames definition.config))
      ) definitions;

      value =
        name:
        let
          here = path ++ [ name ];
          declared = options.${name};
          found = concatMap (
            definition:
            lib.optional (definition.config ? ${name}) {
              value = definition.config.${name};
              site = attributeSite definition.config name definition.site;
            }
          ) definitions;
        in
        if isOption declared then
          settle here declared found
        else
          mergeOptions {
            path = here;
            options = declared;
            definitions = map (
              d:
              if isAttrs d.value then
                {
                  config = d.value;
                  inherit (d) site;
                }
              else
                throw "option '${showPath here}' is a group of options, but ${lib.types.show d.value} was given at ${d.site}"
            ) found;
          };
    in
    if unknown != [ ] then
      unknownOption path options (head unknown)
    else
      builtins.mapAttrs (name: _: value name) options;

  unknownOption =
    path: options: wrong:
    let
      near = nearest wrong.name (attrNames options);
      prefix = concatStringsSep "" (map (part: "${part}.") path);
    in
    throw "unknown option '${prefix}${wrong.name}' at ${wrong.site}${
      lib.optionalString (near != null) "; did you mean '${prefix}${near}'?"
    }";

  unwrap =
    definition:
    if isAttrs definition.value && definition.value ? _override then
      {
        inherit (definition.value._override) priority value;
        inherit (definition) site;
      }
    else
      definition // { priority = priorities.plain; };

  # Definitions of the best priority, unwrapped.
  prevailing =
    definitions:
    let
      all = map unwrap definitions;
      best = foldl' (least: d: if d.priority < least then d.priority else least) 10000 all;
    in
    filter (d: d.priority == best) all;

  settle =
    path: option: found:
    let
      winners = prevailing found;
      byDefault = {
        value = option.default;
        site = "its default";
      };
    in
    if winners != [ ] then
      lib.types.mergeChecked option.type path winners
    else if option ? default then
      lib.types.mergeChecked option.type path [ byDefault ]
    else
      throw "option '${showPath path}' has no default and is set nowhere: ${option.description}";

  # --- Did you mean ----------------------------------------------------------

  # Characters that two names share in place from the front and from the back,
  # which finds the usual slips without a full edit distance.
  likeness =
    a: b:
    let
      count =
        part:
        let
          go =
            i:
            if part a i != null && part a i == part b i then 1 + go (i + 1) else 0;
        in
        go 0;
      front =
        text: i:
        if i < builtins.stringLength text then builtins.substring i 1 text else null;
      back =
        text: i:
        let
          at = builtins.stringLength text - 1 - i;
        in
        if at >= 0 then builtins.substring at 1 text else null;
    in
    count front + count back;

  nearest =
    name: candidates:
    let
      scored = map (candidate: {
        inherit candidate;
        score = likeness name candidate;
      }) candidates;
      ordered = sort (a: b: a.score > b.score) scored;
      least = builtins.stringLength name / 2;
    in
    if ordered == [ ] || (head ordered).score < (if least < 2 then 2 else least) then
      null
    else
      (head ordered).candidate;

  # --- Documentation ----------------------------------------------------------

  documentOptions =
    path: options:
    concatMap (
      name:
      let
        here = path ++ [ name ];
        option = options.${name};
      in
      if isOption option then
        [
          {
            path = showPath here;
            type = option.type.description;
            inherit (option) description;
            default = if option ? default then lib.types.show option.default else null;
          }
        ]
      else
        documentOptions here option
    ) (attrNames options);
in
{
  inherit attributeSite mergeOptions nearest prevailing;

  documentOptions = documentOptions [ ];

  mkOption =
    {
      type,
      description,
      ...
    }@option:
    option // { _type = "option"; };

  mkDefault = prioritised priorities.default;
  mkForce = prioritised priorities.force;

  # Modules → { options; config; }.
  evalModules =
    {
      modules,
      arguments ? { },
    }:
    let
      loaded = concatLists (map (loadModule (arguments // { inherit lib config; })) modules);
      options = foldl' (mergeDeclarations [ ]) { } (map (module: module.options) loaded);
      config = mergeOptions {
        path = [ ];
        inherit options;
        definitions = map (module: { inherit (module) config site; }) loaded;
      };
    in
    {
      inherit config options;
    };
}
