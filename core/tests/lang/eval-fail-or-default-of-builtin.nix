# The default is read though it is never evaluated.
builtins.catAttrs or (attr: list: concatMapLists (map (s: s.${attr}) list))
