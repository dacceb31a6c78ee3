# The smallest container host: for developing the system itself, in QEMU.
{ lib, ... }:
{
  config = {
    # Built and thrown away many times a day.
    compression.level = lib.mkDefault 3;
    data.sizeMiB = lib.mkDefault 512;
  };
}
