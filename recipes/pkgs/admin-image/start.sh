#!/bin/bash
# The admin container's first program: an SSH server for whoever has a key.
# The keys are the container's user data, as lines of authorized_keys; its own
# keys stay with the node.
set -euo pipefail

kept=/.osbuild/kept
own=$kept/ssh_host_ed25519_key
[ -s "$own" ] || ssh-keygen -q -t ed25519 -N '' -C admin -f "$own"
mkdir -p /run/sshd /root/.ssh
chmod 0700 /root /root/.ssh
install -m 0600 "$kept/user-data" /root/.ssh/authorized_keys
exec /usr/sbin/sshd -D -e -f /etc/ssh/osbuild_config
