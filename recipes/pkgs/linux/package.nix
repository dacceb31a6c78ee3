# The kernel: everything built in, configured from groups of options, each
# checked to have survived.
{ lib }:
let
  locked = lib.lockedSource {
    lock = "sources";
    package = "linux";
    file = ".*\\.orig\\.tar\\.xz";
  };
  platform = lib.systems.${lib.system};
  baseGroups = import ./config.nix;

  # The kernel of a source archive, with further groups of options.
  build =
    { version, src }@source:
    extra:
    lib.mkDerivation {
      pname = "linux";
      inherit version src;
      sdk = lib.sdk.c;
      env = {
        fragment = lib.kernelConfig (baseGroups // extra);
        # What packs the kernel into its image.
        pack = builtins.readFile ./zstd.sh;
        passAsFile = [
          "fragment"
          "pack"
        ];
        # The three that the kernel would take from the machine.
        KBUILD_BUILD_TIMESTAMP = "1980-01-01 00:00:00 UTC";
        KBUILD_BUILD_USER = "osbuild";
        KBUILD_BUILD_HOST = "osbuild";
      };
      configurePhase = ''
        kernel=$NIX_BUILD_TOP/kernel
        mkdir -p "$kernel"
        make O="$kernel" KCONFIG_ALLCONFIG="$fragmentPath" allnoconfig

        # Kconfig drops what it cannot satisfy without a word.
        missing=0
        while IFS= read -r line; do
          case $line in
            "# CONFIG_"*" is not set")
              option=''${line#\# }; option=''${option% is not set}
              if grep -q "^$option=" "$kernel/.config"; then
                echo "error: kernel option $option was asked to be off, but something selects it" >&2
                missing=1
              fi ;;
            CONFIG_*)
              if ! grep -qxF -- "$line" "$kernel/.config"; then
                echo "error: kernel option $line did not survive: a dependency is missing, or this kernel does not know it" >&2
                missing=1
              fi ;;
          esac
        done < "$fragmentPath"
        [ "$missing" = 0 ] || exit 1
      '';
      buildPhase = ''
        install -m 0755 "$packPath" "$NIX_BUILD_TOP/zstd"
        make O="$kernel" ZSTD="$NIX_BUILD_TOP/zstd" -j"$NIX_BUILD_CORES" bzImage
      '';
      installPhase = ''
        install -D -m 0644 "$kernel/${platform.kernelImage}" "$out/boot/vmlinuz"
        install -D -m 0644 "$kernel/.config" "$out/boot/config"
      '';
      passthru = {
        # A variant's `kernel.config` comes this way.
        withGroups = build source;
        # Another point release of the series.
        withSource = other: build other { };
      };
      # The kernel boots from its own partition; the root holds none of it.
      image.exclude = [ "boot/**" ];
      meta = {
        description = "The Linux kernel, ${builtins.head (builtins.match "([0-9]+\\.[0-9]+).*" version)} long-term series";
        license = "GPL-2.0-only WITH Linux-syscall-note";
        homepage = "https://www.kernel.org";
        cpe = "o:linux:linux_kernel";
      };
    };
in
build {
  version = builtins.head (builtins.match "([0-9.]+)-.*" locked.version);
  inherit (locked) src;
} { }
