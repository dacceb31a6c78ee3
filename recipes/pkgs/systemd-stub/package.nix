# The UEFI program that unified kernel images begin with: from pinned binary packages, only the files that run.
{ lib }:
lib.debPackage {
  pname = "systemd-stub";
  debs = [
    "systemd-boot-efi"
  ];
  include = [
    "usr/lib/systemd/boot/efi/linuxx64.efi.stub"
  ];
  meta = {
    description = "The UEFI program that unified kernel images begin with";
    license = "LGPL-2.1-or-later";
    homepage = "https://systemd.io";
    cpe = "a:systemd_project:systemd";
  };
}
