# Small functions on lists, sets and strings that the language lacks.
lib:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    elem
    filter
    foldl'
    genList
    length
    listToAttrs
    map
    pathExists
    readDir
    stringLength
    substring
    ;
in
rec {
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  optionalString = condition: text: if condition then text else "";

  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix =
    suffix: text:
    let
      start = stringLength text - stringLength suffix;
    in
    start >= 0 && substring start (-1) text == suffix;

  concatMapStringsSep =
    separator: function: list:
    concatStringsSep separator (map function list);

  # first .. last, both included.
  range = first: last: genList (i: first + i) (last - first + 1);

  # Keeps the first of equal members, in order.
  unique = foldl' (seen: x: if elem x seen then seen else seen ++ [ x ]) [ ];

  filterAttrs =
    keep: set:
    listToAttrs (
      map (name: {
        inherit name;
        value = set.${name};
      }) (filter (name: keep name set.${name}) (attrNames set))
    );

  assertMsg = condition: message: if condition then true else throw message;

  # The one member that satisfies, or an error that says how many did.
  findSingle =
    what: satisfies: list:
    let
      found = filter satisfies list;
      count = length found;
    in
    if count == 1 then
      builtins.head found
    else
      throw "expected exactly one ${what}, found ${toString count}";

  # Packages and everything that they declare to need at run time, each once,
  # dependencies after dependents, in a stable order.
  closeOver =
    packages:
    map (entry: entry.package) (
      builtins.genericClosure {
        startSet = map (package: {
          key = package.pname;
          inherit package;
        }) packages;
        operator =
          entry:
          map (package: {
            key = package.pname;
            inherit package;
          }) (entry.package.runtimeInputs or [ ]);
      }
    );

  # The folders below `directory` that hold `file`, each loaded.
  discover =
    {
      directory,
      file,
      load,
    }:
    let
      entries = readDir directory;
      isOne = name: entries.${name} == "directory" && pathExists (directory + "/${name}/${file}");
    in
    listToAttrs (
      map (name: {
        inherit name;
        value = load (directory + "/${name}/${file}");
      }) (filter isOne (attrNames entries))
    );
}
