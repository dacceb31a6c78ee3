# Sets of files as trees of a folder: unions, differences, filters, sources.
let
  inherit (builtins) all any attrNames attrValues baseNameOf concatLists concatMap concatStringsSep dirOf elem elemAt filter filterSource foldl' genList head isAttrs isPath isString length listToAttrs map mapAttrs match path pathExists readDir readFile readFileType replaceStrings sort split stringLength substring tail toJSON tryEval typeOf unsafeDiscardStringContext;
  root = ./library;
  # A tree is a type of file, or a set of trees by name; null is nothing.
  read = folder: mapAttrs (name: type: if type == "directory" then read (folder + "/${name}") else type) (readDir folder);
  parts = text: filter (p: isString p && p != "") (split "/" text);
  relative = base: file:
    let b = toString base; f = toString file; in
    if b == f then [ ]
    else if substring 0 (stringLength b + 1) f == b + "/" then parts (substring (stringLength b) (-1) f)
    else throw "${baseNameOf file} is not in ${baseNameOf base}";
  single = file:
    if !pathExists file then throw "no such file: ${baseNameOf file}"
    else foldl' (acc: name: { ${name} = acc; }) (if readFileType file == "directory" then read file else readFileType file) (let l = relative root file; n = length l; in genList (i: elemAt l (n - 1 - i)) n);
  union = a: b:
    if a == null then b else if b == null then a
    else if isAttrs a && isAttrs b then mapAttrs (n: _: union (a.${n} or null) (b.${n} or null)) (a // b)
    else a;
  unions = foldl' union null;
  prune = tree:
    if !isAttrs tree then tree
    else
      let kept = filter (x: x.value != null) (map (name: { inherit name; value = prune tree.${name}; }) (attrNames tree)); in
      if kept == [ ] then null else listToAttrs kept;
  intersection = a: b:
    if a == null || b == null then null
    else if isAttrs a && isAttrs b then mapAttrs (n: t: intersection t (b.${n} or null)) a
    else a;
  difference = a: b:
    if b == null then a else if a == null then null
    else if isAttrs a && isAttrs b then mapAttrs (n: t: difference t (b.${n} or null)) a
    else null;
  fileFilter = pred: tree:
    if !isAttrs tree then tree
    else mapAttrs (name: t: if isAttrs t then fileFilter pred t else if pred { inherit name; type = t; hasExt = ext: match ".*\\.${ext}" name != null; } then t else null) tree;
  toList = tree:
    let go = prefix: t: concatMap (n: if isAttrs t.${n} then go "${prefix}${n}/" t.${n} else [ "${prefix}${n}" ]) (attrNames t); in
    if prune tree == null then [ ] else go "" (prune tree);
  toSource = tree: path {
    path = root;
    name = "source";
    filter = file: type:
      let found = foldl' (t: name: if isAttrs t then t.${name} or null else null) (prune tree) (relative root file); in
      found != null;
  };
  everything = read root;
  code = fileFilter (f: f.hasExt "[ch]") everything;
  chain = {
    bySuffix = suffixes: name: type: type == "directory" || any (s: match ".*${replaceStrings [ "." ] [ "\\." ] s}" name != null) suffixes;
    clean = name: type: !(type == "directory" && substring 0 1 name == "." || match ".*\\.o|.*~" name != null || type == "unknown");
  };
  cleanSourceWith = { filter ? _: _: true, src, name ? null }:
    let
      isFiltered = src ? _isFiltered;
      origin = if isFiltered then src.origin else src;
      filter' = if isFiltered then (n: t: src.filter n t && filter n t) else filter;
      name' = if name != null then name else if isFiltered then src.name else baseNameOf src;
    in
    { inherit origin; filter = filter'; name = name'; _isFiltered = true; outPath = path { filter = n: t: filter' (baseNameOf n) t; path = origin; name = name'; }; };
  manifest = builtins.fromTOML (readFile (root + "/Package.toml"));
  lock = builtins.fromJSON (readFile ./library/lock.json);
  resolve = from: input: if builtins.isList input then foldl' (node: name: resolve node lock.nodes.${node}.inputs.${name}) lock.root input else input;
  stores = s: toString s;
  lines = text: filter isString (split "\n" text);
  isStrict = f: (tryEval (builtins.deepSeq f true)).success;
in
{
  all = toList everything;
  types = removeAttrs everything [ "src" "docs" ];
  code = toList code;
  union = toList (unions [ (single ./library/docs) (single ./library/run.sh) code ]);
  without = toList (difference everything (union code (single ./library/src/nested)));
  both = toList (intersection code (single (root + "/src")));
  links = toList (fileFilter (f: f.type == "symlink") everything);
  nothing = map toList [ (difference code code) (fileFilter (_: false) everything) (intersection (single ./library/docs) code) ];
  wrong = map isStrict [ (single ./library/missing) (single ./data) (toList code) ];
  sources = map stores [ (toSource code) (toSource everything) (toSource (single ./library/run.sh)) (toSource null) ];
  filtered = [
    (filterSource (f: type: type != "symlink") root)
    (filterSource (f: type: chain.bySuffix [ ".c" ".md" ] (baseNameOf f) type) root)
    "${cleanSourceWith { src = root; filter = chain.clean; }}"
    (cleanSourceWith { src = cleanSourceWith { src = root; filter = chain.clean; }; filter = chain.bySuffix [ ".c" ]; name = "twice"; }).outPath
  ];
  paths = [
    (relative root (root + "/a/../b"))
    (root + "/src" == ./library/src)
    (toString (root + "/..") == toString ./.)
    (baseNameOf (dirOf (root + "/src/main.c")))
    (typeOf (root + "/src"))
    (relative ./. ./library/src/main.c)
  ];
  order = let seen = filterSource (f: t: builtins.trace "${baseNameOf f} ${t}" true) (root + "/src"); in stringLength seen > 0;
  manifest = { inherit (manifest.package) name version; deps = attrNames manifest.dependencies; bins = map (b: b.path or "src/${b.name}") manifest.bin; };
  lock = map (i: lock.nodes.${resolve lock.root i}.locked.rev) (attrValues lock.nodes.root.inputs);
  module = import (root + "/module.nix") { lib.double = x: x * 2; };
  texts = [ (lines (readFile (root + "/docs/README.md"))) (builtins.hashFile "sha256" (root + "/run.sh")) (readFile (root + "/link.c") == readFile (root + "/src/main.c")) ];
  kinds = map (n: readFileType (root + "/${n}")) [ "src" "run.sh" "link.c" ];
  contexts = builtins.getContext "${root + "/run.sh"}:${root + "/docs"}";
  copied = [ "${./library/run.sh}" "${root}" ("" + ./library/docs) (toJSON ./library/docs) ];
}
