# From packages to a bootable disk: every step a derivation with a built-in
# builder, so that images are cached, verified and collected like anything
# else.
lib:
let
  inherit (import ./derivations.nix lib) builtinDerivation;

  # How vulnerability databases name a release. `meta.cpe` is what stands before
  # the version, `a:openssl:openssl`; of that, what a distribution adds is left out.
  cpe =
    package:
    let
      # `1.3.dfsg+really1.3.1`, which went back, is 1.3.1.
      really = builtins.match ".*\\+really([0-9.]+).*" package.version;
      plain = builtins.match "([0-9]+(\\.[0-9]+)*).*" package.version;
      version = builtins.head (if really != null then really else plain);
    in
    if package.meta ? cpe then "cpe:2.3:${package.meta.cpe}:${version}:*:*:*:*:*:*:*" else null;

  # What the link step is told of a package.
  describe = package: {
    inherit (package) pname version;
    inherit (package.meta) license;
    cpe = cpe package;
    path = package;
    inherit (package.image) exclude interpreter;
  };

  # What the bill of materials is told of one.
  component = package: {
    inherit (package)
      pname
      version
      sources
      crates
      ;
    inherit (package.meta) license description homepage;
    licenseText = package.meta.licenseText or null;
    cpe = cpe package;
    runsWith = map (other: other.pname) package.runtimeInputs;
  };

  segment =
    { level, blockSize }:
    package:
    let
      made = builtinDerivation {
        builder = "squashfs-segment";
        name = "${package.pname}-segment";
        outputs = [
          "data"
          "index"
          "leaves"
        ];
        inherit package level blockSize;
        inherit (package.image) exclude;
      };
    in
    {
      package = package.pname;
      inherit (made) data index leaves;
    };
in
{
  composeImage =
    {
      name,
      packages,
      directories,
      links,
      attributes,
      osRelease,
      allow,
      # Programs whose very bytes are denied, wherever they turn up.
      interpreterBinaries,
      compression,
      kernel,
      stub,
      loader,
      commandLine,
      # variant, arch, version, rollbackIndex, floor, minFromIndex,
      # settingsSchema, healthFile, partitions
      release,
      formats,
      dataSizeMiB,
    }:
    let
      closure = lib.closeOver packages;
      described = map describe closure;

      manifest = builtinDerivation {
        builder = "link-root";
        name = "${name}-root";
        outputs = [
          "out"
          "report"
        ];
        packages = described;
        inherit
          directories
          links
          attributes
          osRelease
          interpreterBinaries
          allow
          ;
      };

      slot = builtinDerivation {
        builder = "slot";
        name = "${name}-slot";
        manifest = manifest.out;
        segments = map (segment compression) closure;
        kernel = "${kernel}/boot/vmlinuz";
        stub = "${stub}/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
        loader = "${loader}/usr/lib/osbuild/loader.efi";
        inherit commandLine;
        inherit (release)
          variant
          arch
          version
          rollbackIndex
          floor
          minFromIndex
          settingsSchema
          healthFile
          partitions
          ;
      };

      disk =
        format:
        builtinDerivation {
          builder = "disk";
          name = "${name}-disk-${format}";
          inherit slot format dataSizeMiB;
          inherit (release) partitions;
          loader = "${loader}/usr/lib/osbuild/loader.efi";
          # Two variants with the same root would else share their disk GUID.
          seed = name;
        };

      disks = map (format: {
        inherit format;
        file = disk format;
      }) formats;

      sbom = builtinDerivation {
        builder = "sbom";
        name = "${name}-sbom";
        outputs = [
          "spdx"
          "cdx"
          "size"
        ];
        manifest = manifest.out;
        components = map component (
          closure
          ++ [
            kernel
            stub
            loader
          ]
        );
        inherit slot;
      };

      outerManifest = builtinDerivation {
        builder = "image-manifest";
        name = "${name}-manifest";
        inherit slot disks;
        packages = described;
      };

      image = lib.join {
        name = "${name}-${release.version}";
        entries =
          builtins.listToAttrs (
            map (entry: {
              name = "disk.${entry.format}";
              value = entry.file;
            }) disks
          )
          // {
            inherit slot;
            "manifest.json" = outerManifest;
            "sbom.spdx.json" = sbom.spdx;
            "sbom.cdx.json" = sbom.cdx;
            "size.json" = sbom.size;
          };
      };
    in
    image
    // {
      inherit
        kernel
        manifest
        sbom
        slot
        ;
      hardening = manifest.report;
    };
}
