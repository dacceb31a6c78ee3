# What the releases of qemu-dev that follow a repository have in common. Nobody
# is at the address: the tests give a mirror by user data.
{
  imports = [ ../../variants/qemu-dev/variant.nix ];
  config.update = {
    repository = "http://10.0.2.2:9/";
    root = ../fleet/repository/public/metadata/2.root.json;
  };
}
