# Text: cutting, escaping, padding, distances, and numbers from forgiving forms.
let
  inherit (builtins) all concatMap concatStringsSep elem elemAt filter foldl' genList head isList isString length listToAttrs map match replaceStrings sort split stringLength substring tail toJSON tryEval;
  characters = text: genList (n: substring n 1 text) (stringLength text);
  lowerChars = characters "abcdefghijklmnopqrstuvwxyz";
  upperChars = characters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  toLower = replaceStrings upperChars lowerChars;
  toUpper = replaceStrings lowerChars upperChars;
  escape = list: replaceStrings list (map (c: "\\${c}") list);
  escapeRegex = escape (characters "\\[{()^$?*+|.");
  addContextFrom = from: text: substring 0 0 from + text;
  splitOn = separator: text: map (addContextFrom "${toString text}") (filter isString (split (escapeRegex (toString separator)) (toString text)));
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix = suffix: text:
    let n = stringLength text - stringLength suffix; in n >= 0 && substring n (-1) text == suffix;
  removePrefix = prefix: text: if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
  trimWith = { start ? true, end ? true }: text:
    let
      chars = " \t\r\n";
      regex =
        if start && end then "[${chars}]*(.*[^${chars}])[${chars}]*"
        else if start then "[${chars}]*(.*)"
        else if end then "(.*[^${chars}])[${chars}]*"
        else "(.*)";
      found = match regex text;
    in
    if found == null then "" else head found;
  pad = { width, filler ? " ", left ? true }: text:
    let
      n = width - stringLength text;
      more = substring 0 n (concatStringsSep "" (genList (_: filler) (if n > 0 then n else 0)));
    in
    assert n >= 0; if left then more + text else text + more;
  commonPrefix = a: b:
    let
      limit = if stringLength a < stringLength b then stringLength a else stringLength b;
      go = n: if n >= limit || substring n 1 a != substring n 1 b then n else go (n + 1);
    in
    go 0;
  # The whole table, each cell made from the cells that it needs.
  levenshtein = a: b:
    let
      min = x: y: if x < y then x else y;
      cell = genList (i: genList (j: distance i j) (stringLength b + 1)) (stringLength a + 1);
      at = i: j: elemAt (elemAt cell i) j;
      distance = i: j:
        if i == 0 then j else if j == 0 then i
        else if substring (i - 1) 1 a == substring (j - 1) 1 b then at (i - 1) (j - 1)
        else 1 + min (min (at (i - 1) j) (at i (j - 1))) (at (i - 1) (j - 1));
    in
    at (stringLength a) (stringLength b);
  near = limit: word: filter (other: levenshtein word other <= limit);
  toInt = text:
    let
      parts = match "[[:space:]]*(-?)(0*)([0-9]*)[[:space:]]*" text;
      sign = elemAt parts 0;
      digits = elemAt parts 2;
    in
    if parts == null || (digits == "" && elemAt parts 1 == "") then throw "no whole number: ${toJSON text}"
    else if elemAt parts 1 != "" && digits != "" then throw "${toJSON text} may be octal or padded"
    else builtins.fromJSON "${if digits == "" then "" else sign}${if digits == "" then "0" else digits}";
  fuzzy = text:
    let
      clean = replaceStrings [ "_" "," " " ] [ "" "" "" ] (toLower text);
      hex = match "0x([0-9a-f]+)" clean;
      scaled = match "(-?[0-9]+)([kmg])(i?)b?" clean;
      float = match "(-?[0-9]+)[.]([0-9]+)" clean;
      factor = if elemAt scaled 2 == "i" then 1024 else 1000;
      power = { k = 1; m = 2; g = 3; }.${elemAt scaled 1};
    in
    if hex != null then foldl' (acc: c: acc * 16 + (listToAttrs (genList (n: { name = elemAt (characters "0123456789abcdef") n; value = n; }) 16)).${c}) 0 (characters (head hex))
    else if scaled != null then foldl' (acc: _: acc * factor) (builtins.fromJSON (head scaled)) (genList (x: x) power)
    else if float != null then builtins.fromJSON clean
    else if match "-?[0-9]+" clean != null then builtins.fromJSON (if match "-?0[0-9]+" clean != null then head (match "0*([0-9]+)" clean) else clean)
    else null;
  toBase = base: n:
    let
      digits = characters "0123456789abcdefghijklmnopqrstuvwxyz";
      mod = a: b: a - b * (a / b);
      go = n: if n < base then [ (elemAt digits n) ] else go (n / base) ++ [ (elemAt digits (mod n base)) ];
    in
    if n < 0 then "-" + toBase base (0 - n) else concatStringsSep "" (go n);
  escapeShell = arg:
    let text = toString arg; in
    if match "[[:alnum:],._+:@%/-]+" text == null then "'${replaceStrings [ "'" ] [ "'\\''" ] text}'" else text;
  isName = name: match "[a-zA-Z_][a-zA-Z0-9_]*" name != null;
  toShellVar = name: value:
    if !isName name then throw "toShellVar: ${name} is not a valid shell variable name"
    else if builtins.isAttrs value && !(value ? outPath || value ? __toString) then
      "declare -A ${name}=(${concatStringsSep " " (builtins.attrValues (builtins.mapAttrs (n: v: "[${escapeShell n}]=${escapeShell v}") value))})"
    else if isList value then "declare -a ${name}=(${concatStringsSep " " (map escapeShell value)})"
    else "${name}=${escapeShell value}";
  escapeXML = replaceStrings [ "\"" "'" "<" ">" "&" ] [ "&quot;" "&apos;" "&lt;" "&gt;" "&amp;" ];
  unreserved = characters "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  ascii = characters " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
  escapeURL =
    let bad = filter (n: !elem (elemAt ascii n) unreserved) (genList (n: n) (length ascii)); in
    replaceStrings (map (elemAt ascii) bad) (map (n: "%" + pad { width = 2; filler = "0"; } (toUpper (toBase 16 (n + 32)))) bad);
  unindent = text:
    let
      lines = splitOn "\n" text;
      depth = line: stringLength (head (match "( *).*" line));
      least = foldl' (acc: line: if trimWith { } line == "" then acc else if acc == null || depth line < acc then depth line else acc) null lines;
    in
    concatStringsSep "\n" (map (line: if least == null then line else substring least (-1) line) lines);
  camel = text: concatStringsSep "" (let words = splitOn "-" text; in [ (head words) ] ++ map (w: toUpper (substring 0 1 w) + substring 1 (-1) w) (tail words));
  snake = text: concatStringsSep "" (map (part: if isList part then "_" + toLower (head part) else part) (split "([A-Z])" text));
  sanitize = name:
    let
      parts = filter isString (split "[^[:alnum:]+._?=-]+" (head (match "\\.*(.*)" name)));
      joined = concatStringsSep "-" parts;
      size = stringLength joined;
    in
    if joined == "" then "unknown" else substring (if size > 207 then size - 207 else 0) (-1) joined;
in
{
  split = [ (splitOn "." "1.2..3.") (splitOn "" "") (splitOn "::" "a::b:::c") (splitOn 0 102030) (splitOn "/" /a/b) ];
  affixes = [ (hasPrefix "ab" "abc") (hasSuffix "bc" "abc") (hasSuffix "abcd" "abc") (removePrefix "é" "éa") (removePrefix "x" "ax") ];
  trimmed = map (f: map f [ "  a b \n" "\t" "" "x" ]) [ (trimWith { }) (trimWith { end = false; }) (trimWith { start = false; }) (trimWith { start = false; end = false; }) ];
  padded = [ (pad { width = 5; filler = "0"; } "42") (pad { width = 4; left = false; } "é") (pad { width = 7; filler = "ab"; } "x") (tryEval (pad { width = 1; } "abc")) ];
  common = [ (commonPrefix "abcd" "abxd") (commonPrefix "" "a") (commonPrefix "same" "same") ];
  distances = map (p: levenshtein (head p) (elemAt p 1)) [ [ "kitten" "sitting" ] [ "" "abc" ] [ "flaw" "lawn" ] [ "same" "same" ] ];
  near = near 2 "enable" [ "enabled" "enabel" "disable" "enableX" "table" ];
  ints = map (t: (tryEval (toInt t)).value) [ "42" " -7 " "0" "-0" "007" "" "1a" "9223372036854775807" "00" ];
  fuzzy = map fuzzy [ "0x1F" "1_000" "4 KiB" "2g" "-3m" "1.50" "-0.25" "007" "abc" "12,345" "" ];
  bases = map (b: map (toBase b) [ 0 1 255 (-10) 1000000 ]) [ 2 8 16 36 ];
  shell = map escapeShell [ "plain" "with space" "it's" "" 1 1.5 null true [ "a" 2 ] /x ];
  vars = [ (toShellVar "a" "b c") (toShellVar "l" [ "x" "y z" 3 ]) (toShellVar "s" { "k 1" = "v"; z = false; }) (toShellVar "d" { outPath = "/o"; }) (tryEval (toShellVar "1x" 1)).success ];
  escaped = [ (escapeXML "<a href=\"x\">'&'</a>") (escapeURL "a b/ü?q=1&r=~%") (escape [ "a" "\\" ] "a\\b") (escapeRegex "a.b*[c]") ];
  unindented = unindent "    a\n      b\n\n   c\n";
  cases = [ (camel "some-long-name") (snake "someLongName") (camel "x") (snake "ABC") ];
  names = map sanitize [ "..a b/c" "" "..." "ok-1.0" "a  b" ];
  longName = stringLength (sanitize (concatStringsSep "" (genList (_: "ab") 200)));
}
