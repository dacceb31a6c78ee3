# What a library does to strings.
let
  inherit (builtins) concatStringsSep elemAt genList head length match replaceStrings split stringLength substring filter isString map;
  characters = s: genList (n: substring n 1 s) (stringLength s);
  hasPrefix = p: s: substring 0 (stringLength p) s == p;
  hasSuffix = p: s: let a = stringLength s; b = stringLength p; in a >= b && substring (a - b) b s == p;
  hasInfix = p: s: match ".*${escapeRegex p}.*" "${s}" != null;
  escapeRegex = replaceStrings (characters "\\[{()^$?*+|.") (map (c: "\\${c}") (characters "\\[{()^$?*+|."));
  lower = characters "abcdefghijklmnopqrstuvwxyz";
  upper = characters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  toUpper = replaceStrings lower upper;
  splitString = sep: s: filter isString (split (escapeRegex sep) s);
  trim = s: let m = match "[ \t\n]*(.*[^ \t\n])[ \t\n]*" s; in if m == null then "" else head m;
  fixedWidth = width: filler: s: let n = width - stringLength s; in if n <= 0 then s else concatStringsSep "" (genList (_: filler) n) + s;
  escapeShell = s: if match "[[:alnum:],._+:@%/-]+" s != null then s else "'${replaceStrings [ "'" ] [ "'\\''" ] s}'";
  camel = s: concatStringsSep "" (let parts = splitString "-" s; in [ (head parts) ] ++ map (p: toUpper (substring 0 1 p) + substring 1 (-1) p) (builtins.tail parts));
in
[
  (characters "aé")
  [ (hasPrefix "ab" "abc") (hasPrefix "abc" "ab") (hasSuffix "c" "abc") (hasSuffix "" "") (hasInfix "a.c" "xa.cx") (hasInfix "a.c" "xabcx") ]
  (toUpper "ab-Cé1")
  (splitString "." "1.2..3")
  (splitString "::" "a::b:c")
  (map trim [ "  a b \n" "" " \t" "x" ])
  (fixedWidth 5 "0" "42")
  (map escapeShell [ "plain" "with space" "it's" "" "a/b:c@d" ])
  (camel "some-long-name")
]
