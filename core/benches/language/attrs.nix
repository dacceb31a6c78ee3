# Sets of 150 000 members made, mapped, merged, intersected, grouped; 2000 times // on a set of 2000.
let
  names = builtins.genList (i: "key${toString i}") 150000;
  all = builtins.listToAttrs (map (name: { inherit name; value = 1; }) names);
  more = builtins.mapAttrs (name: value: value + 1) all;
  merged = all // more;
  common = builtins.intersectAttrs more merged;
  groups = builtins.groupBy (name: builtins.substring 3 2 name) names;
  zipped = builtins.zipAttrsWith (name: values: builtins.length values) [ all more merged ];
  base = builtins.listToAttrs (builtins.genList (i: { name = "x${toString i}"; value = i; }) 2000);
  grown = builtins.foldl' (set: i: set // { "y${toString (i - (i / 50) * 50)}" = i; }) base (
    builtins.genList (i: i) 2000
  );
in
[
  (builtins.foldl' (sum: name: sum + common.${name}) 0 names)
  (builtins.length (builtins.attrNames groups))
  (builtins.foldl' builtins.add 0 (builtins.attrValues zipped))
  (builtins.length (builtins.attrNames grown))
]
