# Pinned files: recipes/locks/*.json, which only `osbuild lock` writes.
lib:
let
  inherit (builtins)
    attrNames
    filter
    fromJSON
    listToAttrs
    map
    match
    readDir
    readFile
    replaceStrings
    ;

  directory = ../locks;
  files = filter (lib.hasSuffix ".json") (attrNames (readDir directory));
  nameOf = file: builtins.head (match "(.*)\\.json" file);

  # Read once, whoever asks.
  locks = listToAttrs (
    map (file: {
      name = nameOf file;
      value = fromJSON (readFile (directory + "/${file}"));
    }) files
  );

  # Store path names know no `~`, `%`, `:` or `^`.
  cleanName = replaceStrings [ "~" "%" ":" "^" ] [ "-" "-" "-" "-" ];

  months = {
    Jan = "01";
    Feb = "02";
    Mar = "03";
    Apr = "04";
    May = "05";
    Jun = "06";
    Jul = "07";
    Aug = "08";
    Sep = "09";
    Oct = "10";
    Nov = "11";
    Dec = "12";
  };

  # "Sat, 12 Sep 2026 07:55:41 UTC" in parts: day, month, year, hour, minute,
  # second.
  dateParts =
    date:
    let
      two = "([0-9][0-9])";
      parts = match "[A-Za-z]+, ${two} ([A-Z][a-z][a-z]) ([0-9]+) ${two}:${two}:${two} UTC" date;
    in
    assert lib.assertMsg (parts != null) "index_date '${date}' is no date; `osbuild lock update` writes it";
    parts;

  # As archives of past states name a moment: 20260912T075541Z.
  timestamp =
    date:
    let
      part = builtins.elemAt (dateParts date);
    in
    "${part 2}${months.${part 1}}${part 0}T${part 3}${part 4}${part 5}Z";

  # The same as RFC 3339 has it: 2026-09-12T07:55:41Z.
  lockTime =
    name:
    let
      part = builtins.elemAt (dateParts locks.${name}.index_date);
    in
    "${part 2}-${months.${part 1}}-${part 0}T${part 3}:${part 4}:${part 5}Z";

  # The places where an entry may still be found: the pool, then an archive of
  # past states at the day of the lock's index. Not everybody can reach one;
  # a mirror that nobody configured is passed over.
  fetchEntry =
    lockName: lock: entry:
    let
      mirror = lock.mirror or "debian";
    in
    lib.fetchurl {
      name = cleanName (baseNameOf entry.path);
      urls = [
        "mirror://${mirror}/${entry.path}"
        "mirror://${mirror}-snapshot/${timestamp lock.index_date}/${entry.path}"
      ];
      hash = "sha256:${entry.sha256}";
      pin = {
        lock = lockName;
        inherit (lock) suite;
        package = entry.name;
        inherit (entry) version;
      };
    };

  # The project's own version within the archive's: `1.1.15+ds1-2` is 1.1.15,
  # and `1.20.5+really1.20.2-1`, which went back, is 1.20.2.
  releaseVersion =
    version:
    let
      really = match ".*\\+really([0-9.]+)-.*" version;
    in
    builtins.head (if really != null then really else match "([0-9.]+).*" version);

  # Packages of a lock by name, fetched.
  lockedSource =
    {
      lock,
      package,
      # A regular expression over the whole file name.
      file ? ".*",
    }:
    let
      entry = lib.findSingle "file '${file}' of ${package} in lock ${lock}" (
        e: e.name == package && match file (baseNameOf e.path) != null
      ) locks.${lock}.entries;
    in
    {
      src = fetchEntry lock locks.${lock} entry;
      inherit (entry) version;
    };
in
{
  inherit lockedSource lockTime releaseVersion;

  lock = name: locks.${name} or (throw "no lock file recipes/locks/${name}.json");

  # A fetched file of a lock, as bills of materials name it.
  describePinned =
    file:
    let
      name = baseNameOf (builtins.head file.urls);
      # `zlib1g_1.3-1_amd64.deb`
      binary = match ".*_([a-z0-9]+)\\.deb" name;
    in
    {
      file = name;
      inherit (file) urls;
      inherit (file.pin) package version suite;
      arch = if binary == null then "source" else builtins.head binary;
      sha256 = builtins.head (match "sha256:(.*)" file.outputHash);
    };

  # Every package of a lock, fetched.
  debs = name: map (fetchEntry name locks.${name}) locks.${name}.entries;

  # A source package: the project's archive, its release, and the suite's
  # packaging (whose patches adapt it), which is looked up only where used.
  upstreamSource =
    { lock, package }:
    let
      file =
        pattern:
        lockedSource {
          inherit lock package;
          file = pattern;
        };
      orig = file ".*\\.orig\\.tar\\.(gz|xz)";
    in
    {
      inherit (orig) src;
      packaging = (file ".*\\.debian\\.tar\\.xz").src;
      version = releaseVersion orig.version;
    };
}
