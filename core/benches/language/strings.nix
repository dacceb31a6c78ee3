# 9 MB of text split, matched, replaced; JSON there and back; 80 000 appends to one string.
let
  range = builtins.genList (i: i);
  lines = map (
    i: "line ${toString i}: the quick brown fox; jumps=over,the lazy=dog ${builtins.hashString "md5" (toString i)}"
  ) (range 80000);
  text = builtins.concatStringsSep "\n" lines;
  parts = builtins.filter builtins.isString (builtins.split "\n" text);
  matched = map (line: builtins.head (builtins.match "line ([0-9]+): .*jumps=([a-z]+),.*" line)) parts;
  replaced = builtins.replaceStrings [ "fox" "dog" "quick" ] [ "wolf" "cat" "slow" ] text;
  json = builtins.toJSON (map (i: { inherit i; s = "v${toString i}"; l = [ i (i + 1) ]; }) (range 40000));
  back = builtins.fromJSON json;
  appended = builtins.foldl' (text: i: text + "x${toString i}") "" (range 80000);
in
[
  (builtins.length parts)
  (builtins.foldl' (sum: m: sum + builtins.stringLength m) 0 matched)
  (builtins.stringLength replaced)
  (builtins.hashString "sha256" json)
  (builtins.length back)
  (builtins.hashString "sha256" appended)
]
