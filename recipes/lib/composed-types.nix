# Types made of other types. `nested` tells the documentation which options
# are inside, and how their path goes on.
lib:
let
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elemAt
    filter
    genList
    head
    isAttrs
    isFunction
    isList
    isPath
    length
    listToAttrs
    map
    ;
  inherit (lib.types)
    conflict
    isPackage
    mergeChecked
    mergeDefinitions
    ;

  isPlainSet = value: isAttrs value && !isPackage value;

  below =
    step: type:
    if type ? nested then
      {
        nested = {
          path = step ++ type.nested.path;
          inherit (type.nested) options;
        };
      }
    else
      { };

  # Definitions of each member of several sets, in order of names.
  members =
    path: definitions:
    map (name: {
      inherit name;
      path = path ++ [ name ];
      definitions = concatMap (
        d:
        lib.optional (d.value ? ${name}) {
          value = d.value.${name};
          site = lib.attributeSite d.value name d.site;
        }
      ) definitions;
    }) (lib.unique (concatMap (d: attrNames d.value) definitions));

  setOf = keep: type: {
    description = "a set, each ${type.description}";
    check = isPlainSet;
    emptyValue = { };
    merge =
      path: definitions:
      listToAttrs (
        map (member: {
          inherit (member) name;
          value = mergeDefinitions type member.path member.definitions;
        }) (filter keep (members path definitions))
      );
  } // below [ "<name>" ] type;
in
rec {
  nullOr = type: {
    description = "null or ${type.description}";
    check = value: value == null || type.check value;
    emptyValue = null;
    merge =
      path: definitions:
      if all (d: d.value == null) definitions then
        null
      else if any (d: d.value == null) definitions then
        conflict path definitions
      else
        mergeChecked type path definitions;
  } // below [ ] type;

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
  } // below [ ] left // below [ ] right;

  oneOf =
    types:
    if length types == 1 then head types else either (head types) (oneOf (builtins.tail types));

  # Definitions are appended, in the order of the modules.
  listOf = type: {
    description = "a list, each ${type.description}";
    check = isList;
    emptyValue = [ ];
    merge =
      path: definitions:
      concatLists (
        map (
          definition:
          concatLists (
            genList (
              index:
              let
                element = {
                  value = elemAt definition.value index;
                  inherit (definition) site;
                };
              in
              # An element under a condition that does not hold is none.
              if lib.bare element == [ ] then
                [ ]
              else
                [ (mergeDefinitions type (path ++ [ (toString index) ]) [ element ]) ]
            ) (length definition.value)
          )
        ) definitions
      );
  } // below [ "*" ] type;

  nonEmptyListOf = type: removeEmpty (
    addCheck (listOf type // { description = "a list of at least one, each ${type.description}"; }) (
      value: value != [ ]
    )
  );
  removeEmpty = type: builtins.removeAttrs type [ "emptyValue" ];

  # Members under a condition that does not hold are left out, so the names
  # depend on the conditions.
  attrsOf = setOf (member: lib.prevailing member.definitions != [ ]);

  # All names are there at once, so that members may refer to each other's
  # existence; a member without a definition that holds fails when asked for.
  lazyAttrsOf = type: setOf (_: true) (type // {
    merge =
      path: definitions:
      if definitions != [ ] then
        type.merge path definitions
      else
        type.emptyValue or (throw "option '${lib.showPath path}' has no definition whose condition holds");
  });

  # A function whose result is of a type.
  functionTo = type: {
    description = "a function to ${type.description}";
    check = value: isFunction value || value ? __functor;
    merge =
      path: definitions: argument:
      mergeDefinitions type (path ++ [ "<result>" ]) (
        map (d: {
          value = d.value argument;
          inherit (d) site;
        }) definitions
      );
  } // below [ "<result>" ] type;

  # One definition, and no second one.
  uniq = type: type // {
    description = "${type.description}, given once";
    merge =
      path: definitions:
      if length definitions == 1 then type.merge path definitions else conflict path definitions;
  };

  addCheck = type: check: type // { check = value: type.check value && check value; };

  # Values of another type are turned into this one first.
  coercedTo = from: function: to: {
    description = "${to.description} or ${from.description}";
    check = value: from.check value || to.check value;
    merge =
      path: definitions:
      mergeDefinitions to path (
        map (d: if from.check d.value then d // { value = function d.value; } else d) definitions
      );
  } // below [ ] to;

  # A set with options of its own: given as a set of options, as a module
  # (which gets `name`, the last step of the path, and its own `config`), or
  # as a list of modules.
  submodule =
    given:
    let
      isModule =
        isFunction given
        || isPath given
        || any (part: given ? ${part} && !(lib.isOption given.${part})) [
          "config"
          "freeformType"
          "imports"
          "options"
        ];
      modules =
        if isList given then
          given
        else if isModule then
          [ given ]
        else
          [ { options = given; } ];
      evaluated =
        path: definitions:
        lib.evaluate {
          inherit path modules;
          arguments.name = if path == [ ] then "" else elemAt path (length path - 1);
          definitions = map (d: {
            config = d.value;
            inherit (d) site;
          }) definitions;
        };
      inherit (evaluated [ "<name>" ] [ ]) options;
    in
    {
      description = "a set with the options ${concatStringsSep ", " (attrNames options)}";
      check = isPlainSet;
      merge = path: definitions: (evaluated path definitions).config;
      nested = {
        path = [ ];
        inherit options;
      };
    };
}
