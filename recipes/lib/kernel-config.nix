# Kernel options as data: groups with a reason each, merged into one fragment.
lib:
let
  inherit (builtins)
    attrNames
    concatLists
    isBool
    isInt
    map
    ;

  line =
    name: value:
    if value == true then
      "CONFIG_${name}=y"
    else if value == false then
      "# CONFIG_${name} is not set"
    else if isInt value then
      "CONFIG_${name}=${toString value}"
    else
      "CONFIG_${name}=\"${value}\"";

  # Options of all groups, with the group that set each.
  definitions =
    groups:
    concatLists (
      map (
        group:
        map (name: {
          inherit name group;
          value = groups.${group}.options.${name};
        }) (attrNames groups.${group}.options)
      ) (attrNames groups)
    );

  byName = groups: builtins.groupBy (definition: definition.name) (definitions groups);

  settle =
    name: found:
    let
      first = builtins.head found;
      other = builtins.filter (definition: definition.value != first.value) found;
    in
    assert lib.assertMsg (other == [ ])
      "kernel option ${name} is set differently by groups '${first.group}' and '${(builtins.head other).group}'";
    line name first.value;
in
{
  # { group = { reason; options = { NAME = true|false|int|string; }; }; } to
  # the text of a fragment.
  kernelConfig =
    groups:
    let
      options = byName groups;
    in
    builtins.concatStringsSep "\n" (map (name: settle name options.${name}) (attrNames options)) + "\n";
}
