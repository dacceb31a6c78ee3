# The module system: options with types, defaults and documentation; modules
# that set them; errors that name the option, where it was set, and the type.
#
# A module is { imports; disabledModules; options; config; freeformType; }, or
# only what `config` would hold, or a function of { config, options, lib, … }
# to one of these, or the path of a file with one of these.
lib:
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    functionArgs
    genList
    head
    intersectAttrs
    isAttrs
    isFunction
    isPath
    isString
    length
    listToAttrs
    map
    mapAttrs
    removeAttrs
    ;

  showPath = concatStringsSep ".";

  siteOf =
    position: fallback:
    if position == null then fallback else "${position.file}:${toString position.line}";
  attributeSite =
    set: name: fallback:
    siteOf (builtins.unsafeGetAttrPos name set) fallback;

  isOption = value: isAttrs value && value._type or null == "option";

  # --- Loading -------------------------------------------------------------

  shapeNames = [
    "_file"
    "config"
    "disabledModules"
    "freeformType"
    "imports"
    "options"
  ];

  # What a module is once its file is read and its function called.
  readModule =
    arguments: module:
    let
      isFile = isPath module || isString module;
      file = if isFile then toString module else "<inline module>";
      raw = if isFile then import module else module;
      wanted = functionArgs raw;
      missing = filter (name: !wanted.${name} && !(arguments ? ${name})) (attrNames wanted);
      value =
        if !isFunction raw then
          raw
        else if missing != [ ] then
          throw "the module ${file} asks for '${head missing}', but modules get ${concatStringsSep ", " (attrNames arguments)}"
        else if wanted == { } then
          raw arguments
        else
          raw (intersectAttrs wanted arguments);
      site = value._file or file;
      isStructured = value ? options || value ? config || value ? imports || value ? freeformType;
      strays = filter (name: !(elem name shapeNames)) (attrNames value);
    in
    if !isAttrs value then
      throw "the module ${file} is ${lib.types.show value}, not a set or a function to one"
    else if isStructured && strays != [ ] then
      throw "the module ${site} has '${head strays}' beside its options or config: move it below config"
    else
      {
        inherit site;
        imports = value.imports or [ ];
        disabled = map toString (value.disabledModules or [ ]);
        options = annotate site (value.options or { });
        config = if isStructured then value.config or { } else removeAttrs value shapeNames;
        freeform = value.freeformType or null;
      };

  # Every option knows where it was declared.
  annotate =
    site: options:
    mapAttrs (
      name: value:
      if isOption value then
        value // { declared = attributeSite options name site; }
      else if isAttrs value then
        annotate site value
      else
        throw "'${name}' among the options at ${attributeSite options name site} is neither an option nor a set of them"
    ) options;

  # Modules with what they import before them, each file once.
  collect =
    arguments: refused: modules:
    let
      go =
        parent: state: list:
        foldl' (
          state: index:
          let
            module = builtins.elemAt list index;
            isFile = isPath module || isString module;
            key = if isFile then toString module else "${parent}#${toString index}";
            loaded = readModule arguments module;
            after = go key (state // { seen = state.seen // { ${key} = true; }; }) loaded.imports;
          in
          if state.seen ? ${key} then
            state
          else
            after // { modules = after.modules ++ [ loaded ]; }
        ) state (genList (index: index) (length list));
      seen = listToAttrs (
        map (name: {
          inherit name;
          value = true;
        }) refused
      );
      all = (go "" {
        inherit seen;
        modules = [ ];
      } modules).modules;
      disabled = concatMap (module: module.disabled) all;
    in
    if refused == [ ] && disabled != [ ] then collect arguments disabled modules else all;

  # --- Options of several modules become one tree ---------------------------

  mergeDeclarations =
    path: left: right:
    foldl' (
      merged: name:
      let
        here = path ++ [ name ];
        old = merged.${name};
        new = right.${name};
        sites = concatStringsSep " and " (
          concatMap (option: lib.optional (option ? declared) "at ${option.declared}") [
            old
            new
          ]
        );
      in
      merged
      // {
        ${name} =
          if !(merged ? ${name}) then
            new
          else if isOption old || isOption new then
            throw "option '${showPath here}' is declared twice, ${sites}"
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
      freeform ? null,
    }:
    let
      plain = concatMap (
        definition:
        map (config: {
          inherit config;
          inherit (definition) site;
        }) (lib.pushDown definition.config)
      ) definitions;

      unknown = concatMap (
        definition:
        map (name: {
          inherit name;
          site = attributeSite definition.config name definition.site;
        }) (filter (name: !(options ? ${name})) (attrNames definition.config))
      ) plain;

      found =
        name:
        concatMap (
          definition:
          lib.optional (definition.config ? ${name}) {
            value = definition.config.${name};
            site = attributeSite definition.config name definition.site;
          }
        ) plain;

      value =
        name:
        let
          here = path ++ [ name ];
          declared = options.${name};
        in
        if isOption declared then
          settle here declared (found name)
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
            ) (found name);
          };

      free = lib.types.mergeDefinitions freeform path (
        map (d: {
          value = removeAttrs d.config (attrNames options);
          inherit (d) site;
        }) plain
      );
      known = mapAttrs (name: _: value name) options;
    in
    if freeform != null then
      free // known
    else if unknown != [ ] then
      unknownOption path options (head unknown)
    else
      known;

  unknownOption =
    path: options: wrong:
    let
      near = lib.nearest wrong.name (attrNames options);
      prefix = concatStringsSep "" (map (part: "${part}.") path);
    in
    throw "unknown option '${prefix}${wrong.name}' at ${wrong.site}${
      lib.optionalString (near != null) "; did you mean '${prefix}${near}'?"
    }";

  settle =
    path: option: found:
    let
      own = lib.optional (option ? default) {
        value = lib.mkOptionDefault option.default;
        site = "its default";
      };
      definitions = found ++ own;
      sites = map (d: d.site) (concatMap lib.bare definitions);
      winners = lib.prevailing definitions;
      value =
        if (option.readOnly or false) && length sites > 1 then
          throw "option '${showPath path}' is read-only, but it is set ${toString (length sites)} times: ${concatStringsSep ", " sites}"
        else if winners != [ ] then
          lib.types.mergeChecked option.type path winners
        else if option.type ? emptyValue then
          option.type.emptyValue
        else
          throw "option '${showPath path}' has no default and is set nowhere: ${option.description}";
    in
    if option ? apply then option.apply value else value;

  # --- Evaluation --------------------------------------------------------------

  # Modules, and definitions that are no modules, below a path → what they
  # come to.
  evaluate =
    {
      path,
      modules,
      arguments,
      definitions,
    }:
    let
      loaded = collect (arguments // { inherit lib config options; }) [ ] modules;
      options = foldl' (mergeDeclarations path) { } (map (module: module.options) loaded);
      freeforms = filter (type: type != null) (map (module: module.freeform) loaded);
      config = mergeOptions {
        inherit path options;
        definitions = map (module: { inherit (module) config site; }) loaded ++ definitions;
        freeform = if freeforms == [ ] then null else head freeforms;
      };
    in
    {
      inherit config options;
    };
in
{
  inherit
    attributeSite
    evaluate
    isOption
    mergeOptions
    showPath
    ;

  mkOption =
    {
      type,
      description,
      ...
    }@option:
    option // { _type = "option"; };

  mkEnableOption = what: {
    _type = "option";
    type = lib.types.bool;
    default = false;
    example = true;
    description = "Whether to enable ${what}.";
  };

  # Modules → { options; config; }.
  evalModules =
    {
      modules,
      arguments ? { },
    }:
    evaluate {
      path = [ ];
      inherit modules arguments;
      definitions = [ ];
    };

  # `value`, if every assertion of the modules holds; their warnings are said
  # first. An assertion is { holds; message; } or { assertion; message; }.
  checkConfig =
    { name, config }:
    value:
    let
      holds = assertion: assertion.holds or assertion.assertion;
      failed = filter (assertion: !(holds assertion)) (config.assertions or [ ]);
      warned = foldl' (rest: warning: builtins.warn "${name}: ${warning}" rest) value (
        config.warnings or [ ]
      );
    in
    if failed == [ ] then
      warned
    else
      throw "${name}: ${concatStringsSep "; " (map (assertion: assertion.message) failed)}";
}
