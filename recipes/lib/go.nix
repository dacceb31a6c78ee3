# Go programs, in GOPATH mode: libraries come from the SDK's packages, nothing
# is downloaded and no module proxy is asked.
lib:
{
  buildGo =
    {
      pname,
      version,
      # Import path of the source's root; below it lies $src.
      importPath,
      # Packages to build, relative to the root, by program name.
      programs,
      tags ? [ ],
      # Package variables set at link time.
      variables ? { },
      cgo ? false,
      extraLinkerFlags ? "",
      # The archive's packaging, whose patches adapt the source to unvendored
      # libraries; null where the source is used as it is.
      packaging ? null,
      # Shell run in the source's root, before the build.
      prepare ? "",
      # The root of the build: another compiler, other libraries.
      sdk ? lib.sdk.go,
      # Shell that puts the source below $root, which is there and empty.
      unpack ? ''tar -xf "$src" --strip-components=1 --no-same-owner -C "$root"'',
      # Where programs go below $out.
      binDirectory ? "usr/bin",
      installPhase ? "",
      ...
    }@arguments:
    let
      setVariables = lib.concatMapStringsSep " " (name: "-X ${name}=${variables.${name}}") (
        builtins.attrNames variables
      );
      # No symbol table, no build id: both carry nothing that a node needs, and
      # the id differs with the path of the cache.
      linkerFlags = "-s -w -buildid= ${extraLinkerFlags} ${setVariables}";
      applyPatches = ''
        mkdir -p "$NIX_BUILD_TOP/packaging"
        tar -xf ${packaging} -C "$NIX_BUILD_TOP/packaging"
        while read -r name; do
          case $name in ""|"#"*) continue ;; esac
          echo "applying $name"
          patch -p1 --no-backup-if-mismatch < "$NIX_BUILD_TOP/packaging/debian/patches/$name"
        done < "$NIX_BUILD_TOP/packaging/debian/patches/series"
      '';
      build = name: ''
        echo "building ${name}"
        go build -p "$NIX_BUILD_CORES" -tags "${toString tags}" -ldflags "${linkerFlags}" \
          -o "$out/${binDirectory}/${name}" "${importPath}/${programs.${name}}"
      '';
    in
    lib.mkDerivation (
      removeAttrs arguments [
        "importPath"
        "programs"
        "tags"
        "variables"
        "cgo"
        "extraLinkerFlags"
        "packaging"
        "prepare"
        "unpack"
        "binDirectory"
      ]
      // {
        inherit sdk;
        sources = lib.optional (packaging != null) packaging;
        env = {
          GO111MODULE = "off";
          GOFLAGS = "-trimpath -buildvcs=false";
          GOTOOLCHAIN = "local";
          CGO_ENABLED = if cgo then "1" else "0";
        };
        unpackPhase = ''
          export GOPATH=$NIX_BUILD_TOP/gopath:/usr/share/gocode GOCACHE=$NIX_BUILD_TOP/gocache
          root=$NIX_BUILD_TOP/gopath/src/${importPath}
          mkdir -p "$root"
          ${unpack}
          mkdir -p "$NIX_BUILD_TOP/source"
          cd "$root"
          ${lib.optionalString (packaging != null) applyPatches}
          ${prepare}
        '';
        buildPhase = ''
          cd "$root"
          mkdir -p "$out/${binDirectory}"
          ${lib.concatMapStringsSep "\n" build (builtins.attrNames programs)}
        '';
        inherit installPhase;
      }
    );
}
