# qemu-dev as it follows a repository of the tests, release 4: another point
# release of the kernel's series, and another loader. The kernel is older than the
# recipe's; a difference is as large in both directions.
import ../follows.nix {
  number = 4;
  packages =
    { lib, pkgs }:
    {
      loader = pkgs.loader.overrideAttrs (old: {
        buildPhase = ''
          sed -i 's/"osbuild: slot {} ({} tries left)"/"osbuild, anew: slot {} ({} tries left)"/' \
            recipes/agents/loader/src/main.rs
          grep -q '"osbuild, anew: slot ' recipes/agents/loader/src/main.rs
          ${old.buildPhase}
        '';
      });
      linux = pkgs.linux.withSource rec {
        version = "6.12.101";
        src = lib.fetchurl {
          name = "linux_${version}.orig.tar.xz";
          urls = [ "mirror://debian/pool/main/l/linux/linux_${version}.orig.tar.xz" ];
          hash = "sha256:ba6df356e6c9aeca8930556d2732eb502e168815a31269d74eb0d9d0c170fd89";
        };
      };
    };
}
