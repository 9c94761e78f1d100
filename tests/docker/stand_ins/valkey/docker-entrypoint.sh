#!/usr/bin/env bash
# Start the server as its own user, with the options of the command.
set -euo pipefail

if [ "${1:0:1}" = - ] || [ "${1##*.}" = conf ]; then
  set -- valkey-server "$@"
fi
[ "$1" = valkey-server ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
  find . ! -user valkey -exec chown valkey {} +
  exec setpriv --reuid=valkey --regid=valkey --clear-groups "$0" "$@"
fi
# The real image is built without the protected mode, which would refuse other containers.
exec "$@" --protected-mode no
