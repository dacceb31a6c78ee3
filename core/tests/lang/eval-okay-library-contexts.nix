# Strings that remember the store: closures of scripts, kept and lost contexts.
let
  inherit (builtins) addDrvOutputDependencies all any appendContext attrNames attrValues baseNameOf concatMap concatStringsSep elem elemAt filter foldl' fromJSON genList getContext hasContext head isString length listToAttrs map mapAttrs match parseDrvName replaceStrings sort split storeDir stringLength substring tail toFile toJSON toString toXML tryEval unsafeDiscardOutputDependency unsafeDiscardStringContext;
  make = name: more: derivation ({ inherit name; system = "x86_64-linux"; builder = "/bin/sh"; } // more);
  hello = make "hello-1.0" { };
  multi = make "multi" { outputs = [ "bin" "dev" "out" ]; };
  fixed = make "fixed" { outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; outputHashMode = "flat"; };
  text = toFile "text" "plain";
  link = toFile "link" "to ${text}";
  short = path: substring (stringLength storeDir + 34) (-1) path;
  context = s: listToAttrs (map (n: { name = short n; value = (getContext s).${n}; }) (attrNames (getContext s)));
  script = { name, inputs ? [ ], text }: make name { inherit text; passAsFile = [ "text" ]; PATH = concatStringsSep ":" (map (p: "${p}/bin") inputs); };
  isStorePath = s: isString s && match "${storeDir}/[0-9a-z]{32}-[^/]+" s != null;
  addContextFrom = from: to: substring 0 0 from + to;
  withoutContext = f: s: addContextFrom s (f (unsafeDiscardStringContext s));
  characters = s: genList (n: substring n 1 s) (stringLength s);
  splitKeep = separator: s: map (addContextFrom s) (filter isString (split separator s));
  run = script { name = "run"; inputs = [ hello multi.bin ]; text = "exec ${hello}/bin/hello --data ${link} ${fixed}"; };
  functions = {
    upper = replaceStrings [ "h" "e" ] [ "H" "E" ];
    parts = s: elemAt (split "/" s) 0;
    name = s: (parseDrvName (unsafeDiscardStringContext (baseNameOf s))).name;
    base = baseNameOf;
    folder = dirOf;
    matched = s: head (match "(.).*" s);
    json = toJSON;
    back = s: fromJSON (unsafeDiscardStringContext (toJSON s));
    xml = toXML;
    list = s: toString [ s ];
    nested = s: toJSON { a = [ s ]; };
    substring = substring 3 4;
    length = s: toString (stringLength s);
    hash = builtins.hashString "sha256";
    joined = s: concatStringsSep s [ "a" "b" ];
    single = s: concatStringsSep s [ "a" ];
    indented = s: ''
      a ${s}
    '';
    replaced = s: replaceStrings [ "x" ] [ s ] "axb";
    unreplaced = s: replaceStrings [ "q" ] [ s ] "axb";
    pattern = s: replaceStrings [ s ] [ "y" ] "axb";
    compared = s: if s < "~" then "less" else "more";
    conditional = s: if s == "x" then s else "no";
    path = s: "${s}/sub" + "/dir";
    discarded = unsafeDiscardStringContext;
    kept = withoutContext (s: baseNameOf s);
    attr = s: { ${unsafeDiscardStringContext s} = s; }.${unsafeDiscardStringContext s};
  };
  inputs = { inherit hello; multi = multi.dev; inherit text; mixed = "${hello}${multi}${text}"; drv = hello.drvPath; };
  whole = mapAttrs (_: f: mapAttrs (_: s: context (f "${s}")) inputs) functions;
in
{
  contexts = mapAttrs (_: s: context "${s}") (inputs // { inherit run link fixed; all = concatStringsSep " " (map toString multi.all); });
  inherit whole;
  run = { inherit (run) drvPath PATH text; };
  forms = [
    (context (unsafeDiscardOutputDependency hello.drvPath))
    (context (addDrvOutputDependencies (unsafeDiscardOutputDependency hello.drvPath)) == context hello.drvPath)
    (context "${hello}${hello.drvPath}${unsafeDiscardOutputDependency hello.drvPath}")
    (context (appendContext "s" (getContext run.text)) == context run.text)
    (context (appendContext "s" (mapAttrs (_: _: { outputs = [ "dev" "bin" ]; }) (getContext hello.drvPath))))
    (appendContext "same" { } == "same")
    (hasContext (appendContext "x" (getContext text)))
  ];
  paths = map isStorePath [ "${hello}" "${hello}/bin" text 1 "x" hello.drvPath ];
  equal = [ ("${hello}" == unsafeDiscardStringContext "${hello}") (elem "${text}" [ (unsafeDiscardStringContext text) ]) ({ a = text; } == { a = unsafeDiscardStringContext text; }) ];
  split = map context (splitKeep "-" "${hello}-${text}");
  characters = length (filter hasContext (characters "${fixed}"));
  refused = map (e: (tryEval e).success) [ (builtins.pathExists "/nonexistent/${"a"}") (any hasContext (attrNames { ${unsafeDiscardStringContext "${hello}"} = 1; })) ];
  placeholders = make "self" { flags = [ "--prefix=${builtins.placeholder "out"}" "--lib=${builtins.placeholder "dev"}" ]; };
  scripts = map (s: unsafeDiscardStringContext s.outPath) (genList (n: script { name = "s${toString n}"; text = "${if n == 0 then hello else fixed}"; }) 2);
}
