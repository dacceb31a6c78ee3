# Sets in sets: 300 families of 100 members with four attributes, mapped twice, overridden and read.
let
  range = builtins.genList (i: i);
  family =
    f:
    builtins.listToAttrs (
      map (i: {
        name = "member${toString i}";
        value = rec {
          id = f * 100 + i;
          meta = { priority = id - (id / 7) * 7; tags = [ "a" "b" ]; };
          enable = meta.priority > 2;
          label = "family-${toString f}-member-${toString i}";
        };
      }) (range 100)
    );
  families = builtins.listToAttrs (map (f: { name = "family${toString f}"; value = family f; }) (range 300));
  raised = builtins.mapAttrs (
    _: builtins.mapAttrs (_: m: m // { meta = m.meta // { priority = m.meta.priority + 1; }; })
  ) families;
  sum = builtins.foldl' (total: m: total + m.meta.priority + (if m.enable then 1 else 0)) 0;
in
[
  (sum (builtins.concatMap builtins.attrValues (builtins.attrValues raised)))
  (builtins.stringLength (builtins.toJSON raised))
]
