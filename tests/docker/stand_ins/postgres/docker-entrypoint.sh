#!/usr/bin/env bash
# Make the cluster once, run the scripts of /docker-entrypoint-initdb.d, and become the server.
set -euo pipefail

[ "${1:0:1}" != - ] || set -- postgres "$@"
[ "$1" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chmod 0700 "$PGDATA"
  find "$PGDATA" ! -user postgres -exec chown postgres {} +
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  [ -z "${POSTGRES_PASSWORD_FILE:-}" ] || POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE")
  : "${POSTGRES_PASSWORD:?is not set: the server would accept anyone}"
  export POSTGRES_USER=${POSTGRES_USER:-postgres}
  export POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
  # shellcheck disable=SC2086  # several arguments
  initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local=trust \
    --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS:-} >/dev/null
  printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
  # No client can connect before the scripts have run.
  pg_ctl --silent --wait --options="-c listen_addresses=''" start
  psql=(psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "$POSTGRES_USER")
  [ "$POSTGRES_DB" = postgres ] || createdb --username "$POSTGRES_USER" --maintenance-db postgres "$POSTGRES_DB"
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
    *.sh)
      # shellcheck disable=SC1090  # scripts of the deployment
      if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
    *.sql) "${psql[@]}" --dbname "$POSTGRES_DB" --file "$file" ;;
    *.sql.gz) gunzip --stdout "$file" | "${psql[@]}" --dbname "$POSTGRES_DB" ;;
    esac
  done
  pg_ctl --silent --wait --mode=fast stop
fi
exec "$@"
