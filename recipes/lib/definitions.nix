# What a module may wrap around a value: a condition, a priority, a place in
# the order. Here definitions lose these wrappers, and those that count are
# chosen.
#
# A definition is { value; site; }, and { priority; rank; } once it is bare.
lib:
let
  inherit (builtins)
    any
    concatMap
    filter
    foldl'
    isAttrs
    isBool
    map
    mapAttrs
    sort
    ;

  # Smaller wins: `mkForce` over a plain definition over `mkDefault` over an
  # option's own default.
  priorities = {
    force = 50;
    plain = 100;
    default = 1000;
    optionDefault = 1500;
  };

  # Smaller comes first in lists and texts.
  ranks = {
    before = 500;
    plain = 1000;
    after = 1500;
  };

  kindOf = value: if isAttrs value then value._type or null else null;

  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOrder = rank: content: {
    _type = "order";
    inherit rank content;
  };

  # One definition → those that are in it, without wrappers. Conditions are
  # evaluated here and nowhere else, so a module may ask for another option.
  bare =
    definition:
    let
      inherit (definition) value;
      inside = content: further: bare (definition // further // { value = content; });
      kind = kindOf value;
    in
    if kind == "merge" then
      concatMap (content: inside content { }) value.contents
    else if kind == "if" then
      if !isBool value.condition then
        throw "the condition of mkIf at ${definition.site} is ${lib.types.show value.condition}, not true or false"
      else if value.condition then
        inside value.content { }
      else
        [ ]
    else if kind == "override" then
      inside value.content { inherit (value) priority; }
    else if kind == "order" then
      inside value.content { inherit (value) rank; }
    else
      [
        (
          {
            priority = priorities.plain;
            rank = ranks.plain;
          }
          // definition
        )
      ];

  # The definitions of the best priority, in order.
  prevailing =
    definitions:
    let
      all = concatMap bare definitions;
      best = foldl' (least: d: if d.priority < least then d.priority else least) 10000 all;
      winners = filter (d: d.priority == best) all;
    in
    if any (d: d.rank != ranks.plain) winners then
      sort (a: b: a.rank < b.rank) winners
    else
      winners;

  # Wrappers around a set move to its members, so that names can be listed
  # before any condition is known.
  pushDown =
    set:
    let
      kind = kindOf set;
      each = wrap: map (mapAttrs (_: wrap)) (pushDown set.content);
    in
    if kind == "merge" then
      concatMap pushDown set.contents
    else if kind == "if" then
      each (mkIf set.condition)
    else if kind == "override" then
      each (mkOverride set.priority)
    else if kind == "order" then
      each (mkOrder set.rank)
    else
      [ set ];
in
{
  inherit
    bare
    mkIf
    mkMerge
    mkOrder
    mkOverride
    prevailing
    priorities
    pushDown
    ;
  mkForce = mkOverride priorities.force;
  mkDefault = mkOverride priorities.default;
  mkOptionDefault = mkOverride priorities.optionDefault;
  mkBefore = mkOrder ranks.before;
  mkAfter = mkOrder ranks.after;
}
