# Whoever asks the API how the node is, asks this: a program of its own, started
# for each question and gone with the answer.
{ lib, pkgs, ... }:
let
  # Its one client is the API's server. The limit on how often it may be
  # started would make the socket fail, and so the node: the server has its own.
  socketUnit = ''
    [Unit]
    Description=Questions about the running system
    DefaultDependencies=no
    Conflicts=shutdown.target
    Before=shutdown.target sockets.target

    [Socket]
    ListenStream=/run/osbuild/inspect.socket
    SocketMode=0600
    Accept=yes
    MaxConnections=8
    TriggerLimitIntervalSec=0
  '';

  # Its own starting and ending is kept out of the journal that it is asked
  # about.
  serviceUnit = ''
    [Unit]
    Description=Look at the running system
    DefaultDependencies=no
    Conflicts=shutdown.target
    Before=shutdown.target
    CollectMode=inactive-or-failed

    [Service]
    ExecStart=-/usr/lib/osbuild/inspect
    StandardInput=socket
    StandardOutput=socket
    StandardError=journal
    LogLevelMax=notice
    RuntimeMaxSec=60
    MemoryMax=256M
    TasksMax=32
  '';

  inherit (lib.sandbox) because without;

  # It may look at everything and change nothing.
  inspectSandbox =
    without [
      "PrivateDevices"
      "PrivateNetwork"
      "PrivateTmp"
      "ProcSubset"
      "ProtectProc"
    ] "the node's devices, ports and programs are what it is asked about"
    // {
      CapabilityBoundingSet =
        because "reads what belongs to others, sees what other programs have open, asks the device mapper"
          "CAP_DAC_READ_SEARCH CAP_SYS_PTRACE CAP_SYS_ADMIN";
      DeviceAllow = because "partition tables, and the mapping of the root" [
        "block-* r"
        "/dev/mapper/control rw"
      ];
      DevicePolicy = because "no other device opens" "closed";
      SystemCallFilter = because "journalctl and systemctl, which it starts, ask for more" "@system-service";
    };
in
{
  config = {
    packages = [ pkgs.inspect ];

    services = {
      "osbuild-inspect.socket" = {
        text = socketUnit;
        wantedBy = [ "sockets.target" ];
      };
      "osbuild-inspect@.service" = {
        text = serviceUnit;
        sandbox = inspectSandbox;
      };
    };
  };
}
