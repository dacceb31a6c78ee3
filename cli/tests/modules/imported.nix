{ lib, ... }:
{
  options.imported = lib.mkOption {
    type = lib.types.listOf lib.types.str;
    description = "Set by a file that several modules import.";
  };
  config.imported = [ "once" ];
}
