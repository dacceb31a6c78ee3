# Whoever asks the API how the node is, asks this: a program of its own, started
# for each question and gone with the answer.
{ pkgs, ... }:
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

  # It may look at everything and change nothing. Three capabilities: to read
  # what belongs to others, to see what other programs have open, and to ask
  # the device mapper. Its own starting and ending is kept out of the journal
  # that it is asked about.
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
    CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_SYS_PTRACE CAP_SYS_ADMIN
    DevicePolicy=closed
    DeviceAllow=block-* r
    DeviceAllow=/dev/mapper/control rw
    LockPersonality=yes
    MemoryDenyWriteExecute=yes
    NoNewPrivileges=yes
    ProtectClock=yes
    ProtectControlGroups=yes
    ProtectHome=yes
    ProtectHostname=yes
    ProtectKernelLogs=yes
    ProtectKernelModules=yes
    ProtectKernelTunables=yes
    ProtectSystem=strict
    RestrictAddressFamilies=AF_UNIX
    RestrictNamespaces=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
  '';
in
{
  config = {
    packages = [ pkgs.inspect ];

    services = {
      "osbuild-inspect.socket" = {
        text = socketUnit;
        wantedBy = [ "sockets.target" ];
      };
      "osbuild-inspect@.service".text = serviceUnit;
    };
  };
}
