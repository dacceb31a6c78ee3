# Types of options. A type says whether one value fits (`check`), how to say
# what it wants (`description`), and how several definitions become one
# (`merge`): from the option's path and a list of { value, site }. Types that
# are made of others are in composed-types.nix.
lib:
let
  inherit (builtins)
    all
    concatStringsSep
    elem
    filter
    head
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isPath
    isString
    length
    map
    match
    substring
    toJSON
    ;

  conflict =
    path: definitions:
    throw "option '${lib.showPath path}' is defined more than once with different values: ${
      concatStringsSep ", " (map (d: "${show d.value} at ${d.site}") definitions)
    }";

  # Short and safe for whatever a user may have written.
  show =
    value:
    if isString value || isInt value || isBool value || isFloat value || value == null then
      toJSON value
    else if isPath value then
      toString value
    else if isList value then
      "a list"
    else if isAttrs value then
      "a set"
    else
      "a ${builtins.typeOf value}";

  # One value, however often it was given. Functions equal nothing, so a
  # single definition is not compared.
  one =
    path: definitions:
    let
      first = head definitions;
    in
    if length definitions == 1 || all (d: d.value == first.value) definitions then
      first.value
    else
      conflict path definitions;

  # One definition, and no second one.
  single =
    path: definitions:
    if length definitions == 1 then (head definitions).value else conflict path definitions;

  scalar = description: check: {
    inherit description check;
    merge = one;
  };

  checked =
    type: path: definition:
    if type.check definition.value then
      definition
    else
      throw "option '${lib.showPath path}' must be ${type.description}, but ${show definition.value} was given at ${definition.site}";

  mergeChecked =
    type: path: definitions:
    type.merge path (map (checked type path) definitions);

  # As `mergeChecked`, of definitions that still have their wrappers: members
  # of sets and lists have priorities and an order of their own.
  mergeDefinitions =
    type: path: definitions:
    mergeChecked type path (lib.prevailing definitions);

  isPackage = value: isAttrs value && value.type or null == "derivation" && value ? pname;

  between =
    low: high:
    scalar "an integer from ${toString low} to ${toString high}" (
      value: isInt value && value >= low && value <= high
    );

  # Texts that several definitions add to.
  joined = description: separator: {
    inherit description;
    check = isString;
    merge = _: definitions: concatStringsSep separator (map (d: d.value) definitions);
  };

  isOneLine = value: isString value && length (filter isString (builtins.split "\n" value)) == 1;
in
rec {
  inherit
    conflict
    isPackage
    mergeChecked
    mergeDefinitions
    one
    show
    single
    ;

  bool = scalar "true or false" isBool;

  int = scalar "an integer" isInt;
  unsigned = scalar "an integer of at least 0" (value: isInt value && value >= 0);
  positive = scalar "an integer of at least 1" (value: isInt value && value >= 1);
  ints = {
    inherit between positive unsigned;
    u8 = between 0 255;
    u16 = between 0 65535;
    u32 = between 0 4294967295;
    s8 = between (-128) 127;
    s16 = between (-32768) 32767;
    s32 = between (-2147483648) 2147483647;
  };
  port = between 0 65535;
  float = scalar "a floating-point number" isFloat;
  number = scalar "a number" (value: isInt value || isFloat value);
  numbers.between =
    low: high:
    scalar "a number from ${toString low} to ${toString high}" (
      value: (isInt value || isFloat value) && value >= low && value <= high
    );

  str = scalar "a string" isString;
  nonEmptyStr = scalar "a string that is not blank" (
    value: isString value && match "[ \t\n]*" value == null
  );
  singleLineStr = scalar "a string of one line" isOneLine;
  strMatching =
    pattern:
    scalar "a string that fits the pattern ${pattern}" (
      value: isString value && match pattern value != null
    );
  # Several definitions are put one after the other.
  lines = joined "lines of text" "\n";
  commas = joined "words separated by commas" ",";
  separatedString = separator: joined "a string, its parts separated by ${toJSON separator}" separator;

  # SemVer 2.0.0, section 2 and 9, without build metadata.
  semver = scalar "a version as in SemVer 2.0.0 (1.2.3 or 1.2.3-rc.1)" (
    value:
    isString value
    && match "(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?" value != null
  );

  enum = values: scalar "one of ${concatStringsSep ", " (map show values)}" (value: elem value values);

  path = scalar "a path" (value: isPath value || isString value || isPackage value);
  absolutePath = scalar "an absolute path" (
    value: isPath value || isPackage value || isString value && substring 0 1 value == "/"
  );

  package = {
    description = "a package";
    check = isPackage;
    merge = single;
  };

  # Any value; sets are joined member by member, all else must agree.
  anything = {
    description = "any value";
    check = _: true;
    merge =
      path: definitions:
      if all (d: isAttrs d.value && !isPackage d.value && !(d.value ? _type)) definitions then
        (lib.composedTypes.lazyAttrsOf anything).merge path definitions
      else
        one path definitions;
  };

  # A value that is left alone: not merged, not looked into.
  raw = {
    description = "any value, given once";
    check = _: true;
    merge = single;
  };

  # A set whose members are not merged: of two, the later counts.
  attrs = {
    description = "a set";
    check = value: isAttrs value && !isPackage value;
    merge = _: definitions: builtins.foldl' (all: d: all // d.value) { } definitions;
    emptyValue = { };
  };

  function = scalar "a function" isFunction;

  inherit (lib.composedTypes)
    addCheck
    attrsOf
    coercedTo
    either
    functionTo
    lazyAttrsOf
    listOf
    nonEmptyListOf
    nullOr
    oneOf
    submodule
    uniq
    ;
}
