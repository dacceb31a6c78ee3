# Parser combinators over lists of characters, and what they read: JSON, tables,
# versions with ranges, templates.
let
  inherit (builtins) all attrNames compareVersions concatLists concatMap concatStringsSep elem elemAt filter foldl' fromJSON genList head isAttrs isList isString length listToAttrs map mapAttrs match replaceStrings split splitVersion stringLength substring tail toJSON tryEval;
  # A parser takes a text and a place and gives a value and a place, or a failure.
  ok = value: at: { inherit value at; };
  no = expected: at: { inherit expected at; failed = true; };
  isOk = r: !(r.failed or false);
  pure = value: text: at: ok value at;
  bind = p: f: text: at: let r = p text at; in if isOk r then f r.value text r.at else r;
  fmap = f: p: bind p (x: pure (f x));
  char = c: text: at: if substring at 1 text == c then ok c (at + 1) else no "`${c}'" at;
  word = w: text: at: if substring at (stringLength w) text == w then ok w (at + stringLength w) else no "`${w}'" at;
  regex = name: re: text: at:
    let m = match "(${re}).*" (substring at (-1) text); in
    if m == null then no name at else ok (head m) (at + stringLength (head m));
  alternatives = ps: text: at:
    let go = ps: best: if ps == [ ] then best else let r = (head ps) text at; in if isOk r then r else go (tail ps) (if best == null || r.at >= best.at then r else best); in
    go ps null;
  many = p: text: at:
    let go = acc: at: let r = p text at; in if isOk r && r.at > at then go (acc ++ [ r.value ]) r.at else ok acc at; in
    go [ ] at;
  between = open: close: p: bind open (_: bind p (x: bind close (_: pure x)));
  separated = separator: p: alternatives [ (bind p (first: bind (many (bind separator (_: p))) (rest: pure ([ first ] ++ rest)))) (pure [ ]) ];
  blank = regex "blank" "[ \t\n]*";
  token = p: bind p (x: bind blank (_: pure x));
  symbol = c: token (char c);
  run = p: text:
    let r = bind blank (_: p) text 0; in
    if !isOk r then { error = "expected ${r.expected} at ${toString r.at}"; }
    else if r.at < stringLength text then { error = "unread: ${toJSON (substring r.at 5 text)}"; }
    else r.value;
  lazy = p: text: at: p text at;
  json = alternatives [
    (fmap (_: null) (token (word "null")))
    (fmap (_: true) (token (word "true")))
    (fmap (_: false) (token (word "false")))
    (fmap fromJSON (token (regex "number" "-?[0-9]+(\\.[0-9]+)?")))
    string
    (between (symbol "[") (symbol "]") (separated (symbol ",") (lazy json)))
    (fmap listToAttrs (between (symbol "{") (symbol "}") (separated (symbol ",") (bind string (name: bind (symbol ":") (_: fmap (value: { inherit name value; }) (lazy json)))))))
  ];
  string = token (fmap (s: replaceStrings [ "\\n" "\\\"" "\\\\" ] [ "\n" "\"" "\\" ] s) (between (char "\"") (char "\"") (regex "text" "([^\"\\]|\\\\[n\"\\])*")));
  texts = [ "{\"a\": [1, -2.5, {\"b\": null}], \"c\\\"\": \"x\\n\"}" "[]" " [ true , false ] " "{\"a\" 1}" "[1 2]" "\"open" "tru" "{\"a\":1} x" ];
  # Rows of a table with quoted fields.
  csv = text:
    let
      field = alternatives [ (fmap (replaceStrings [ "\"\"" ] [ "\"" ]) (between (char "\"") (char "\"") (regex "quoted" "([^\"]|\"\")*"))) (regex "field" "[^,\n\"]*") ];
      row = bind field (first: fmap (rest: [ first ] ++ rest) (many (bind (char ",") (_: field))));
      rows = bind row (first: fmap (rest: [ first ] ++ rest) (many (bind (char "\n") (_: row))));
      parsed = rows text 0;
      header = head parsed.value;
    in
    map (r: listToAttrs (genList (n: { name = elemAt header n; value = elemAt r n; }) (length header))) (filter (r: r != [ "" ]) (tail parsed.value));
  # `>=1.2 <2 || ~3.1`.
  satisfies = version: range:
    let
      pad = v: let c = splitVersion v; in genList (n: if n < length c then elemAt c n else "0") 3;
      next = n: v: let c = pad v; in concatStringsSep "." (genList (i: if i < n then elemAt c i else if i == n then toString (fromJSON (elemAt c i) + 1) else "0") 3);
      cmp = v: compareVersions (concatStringsSep "." (pad version)) (concatStringsSep "." (pad v));
      one = text:
        let m = match "(>=|<=|>|<|=|~|\\^)?([0-9.]+)" text; op = head m; v = elemAt m 1; in
        if m == null then throw "bad range `${text}'"
        else {
          ">=" = cmp v >= 0; "<=" = cmp v <= 0; ">" = cmp v > 0; "<" = cmp v < 0;
          "~" = cmp v >= 0 && cmp (next 1 v) < 0;
          "^" = cmp v >= 0 && cmp (next 0 v) < 0;
        }.${toString op} or (cmp v == 0);
      words = t: filter (w: isString w && w != "") (split " +" t);
    in
    builtins.any (part: all one (words part)) (filter isString (split " *\\|\\| *" range));
  template = values: text: concatStringsSep "" (map (part:
    if isString part then part
    else
      let path = filter isString (split "\\." (head part)); found = foldl' (s: n: if isAttrs s then s.${n} or null else null) values path; in
      if found == null then "<no ${head part}>" else if isList found then concatStringsSep "," (map toString found) else toString found)
    (split "\\{\\{ *([a-z.]+) *}}" text));
  glob = pattern: text:
    let re = concatStringsSep "" (map (c: if isString c then replaceStrings [ "." "+" "(" ")" ] [ "\\." "\\+" "\\(" "\\)" ] c else { "**" = ".*"; "*" = "[^/]*"; "?" = "[^/]"; }.${head c}) (split "(\\*\\*|\\*|\\?)" pattern)); in
    match re text != null;
in
{
  json = map (run json) texts;
  same = map (t: run json t == fromJSON t) [ (head texts) "[]" "[[[]]]" "{\"k\":{\"k\":{}}}" ];
  csv = csv "name,size\nplain,1\n\"with, comma\",2\n\"quo\"\"te\",\n";
  ranges = map (r: map (v: satisfies v r) [ "1.2" "1.9.9" "2.0" "3.1.4" ]) [ ">=1.2 <2" "^1.2" "~3.1" "1.2 || >2" "=2" "<=1.9.9" ];
  badRange = tryEval (satisfies "1" "about 1");
  template = template { user.name = "N"; list = [ 1 2 ]; n = 3; } "{{ user.name }}: {{list}} {{n}} {{user.age}} {{ user.name.first }} {{}}";
  globs = map (p: filter (glob p) [ "src/main.c" "src/a/b.c" "main.c" "a+b.c" ]) [ "*.c" "src/*.c" "**.c" "src/**" "?+?.c" "main?c" ];
}
