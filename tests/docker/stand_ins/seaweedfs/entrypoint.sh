#!/bin/sh
# The command `mini` alone, as a user without rights.
set -eu

case ${1:-} in
mini) ;;
*) echo "This stand-in for SeaweedFS knows the command mini, not: ${1:-}" >&2; exit 1 ;;
esac
run="/opt/moto/bin/python /opt/moto/server.py"
if [ "$(id -u)" = 0 ]; then
  exec setpriv --reuid=seaweed --regid=seaweed --clear-groups $run
fi
exec $run
