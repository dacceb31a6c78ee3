# A Kubernetes node for EC2.
{ ... }:
{
  imports = [ ../lib/k8s.nix ];

  config = {
    settings.userData = [
      "imds"
      "fw-cfg"
      "smbios"
      "config-disk"
    ];

    # EBS volumes are NVMe devices; the console is the one that EC2 records.
    kernel.commandLine = [
      {
        word = "nvme_core.io_timeout=4294967295";
        reason = "EBS may pause for long; giving up would remount the disk read-only";
      }
    ];
  };
}
