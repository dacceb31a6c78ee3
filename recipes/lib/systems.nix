# The architectures that can be composed, by Nix's name of the system.
{
  x86_64-linux = {
    # `uname -m`, and ARCH in the release manifest.
    machine = "x86_64";
    # Kernel source directory and image.
    kernelArch = "x86";
    kernelImage = "arch/x86/boot/bzImage";
    goArch = "amd64";
    rustTarget = "x86_64-unknown-linux-gnu";
    uefiTarget = "x86_64-unknown-uefi";
    # The firmware's default boot file name (UEFI 2.10, section 3.5.1.1).
    efiDefault = "BOOTX64.EFI";
    # Directory of shared libraries below /usr/lib.
    multiarch = "x86_64-linux-gnu";
    debArch = "amd64";
  };
}
