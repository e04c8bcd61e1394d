#!/usr/bin/env bash
# Two PostgreSQL servers for gatehouse's journal: what one acknowledges, the other has on its disk. README.md explains how and why.
#
#   pg-pair.sh primary DATA PEER            make and start a primary that acknowledges only what PEER has too
#   pg-pair.sh standby DATA NAME PRIMARY    copy the server at the connection string PRIMARY, and follow it under NAME
#   pg-pair.sh state   DATA                 what this server is, and who follows it how
#   pg-pair.sh fence   DATA                 stop this server so that it cannot come back as a primary
#   pg-pair.sh promote DATA PEER            make this standby the primary; from its first commit on it waits for PEER
#   pg-pair.sh rejoin  DATA NAME PRIMARY    put a fenced server's data aside and follow the new primary under NAME
#
# Environment: PGBIN (where initdb and postgres are), PGPORT, LISTEN (addresses; none means Unix sockets only), SOCKETS (their
# directory; DATA.run), AUTH (how initdb lets local users in: peer; tests say trust). Run it as the user the server runs as, never as root.
set -euo pipefail

bin=${PGBIN:-/usr/lib/postgresql/15/bin}
port=${PGPORT:-5432}
listen=${LISTEN:-}
auth=${AUTH:-peer}
owner=gatehouse
database=journal

die() {
  echo "pg-pair: $*" >&2
  exit 1
}

# The settings that prevent loss. They are the same on both servers except for the addresses and the peer.
configure() {
  local data=$1 peer=$2
  mkdir -p -m 700 "${SOCKETS:-$data.run}"
  cat > "$data/gatehouse.conf" <<CONF
listen_addresses = '$listen'
port = $port
unix_socket_directories = '${SOCKETS:-$data.run}'
wal_level = replica
hot_standby = on
max_wal_senders = 5
max_replication_slots = 5
max_slot_wal_keep_size = 4GB
wal_sender_timeout = 10s
wal_receiver_timeout = 10s
fsync = on
full_page_writes = on
synchronous_commit = on
synchronous_standby_names = 'FIRST 1 ("$peer")'
CONF
  grep -qx "include = 'gatehouse.conf'" "$data/postgresql.conf" || echo "include = 'gatehouse.conf'" >> "$data/postgresql.conf"
}

start() {
  "$bin/pg_ctl" -D "$1" -w -t 60 -l "$1/server.log" start > /dev/null
}

ask() {
  "$bin/psql" -X -A -t -h "${SOCKETS:-$1.run}" -p "$port" -U "$owner" -d postgres -c "$2"
}

primary() {
  local data=$1 peer=$2
  [ ! -e "$data/PG_VERSION" ] || die "$data holds a server already"
  "$bin/initdb" -D "$data" -U "$owner" --auth-local="$auth" --auth-host=scram-sha-256 --encoding=UTF8 --locale=C --data-checksums > /dev/null
  configure "$data" "$peer"
  start "$data"
  # There is no peer yet: making the empty database is the only commit that does not wait for it.
  PGOPTIONS='-c synchronous_commit=local' ask "$data" "CREATE DATABASE $database" > /dev/null
}

standby() {
  local data=$1 name=$2 primary=$3 names
  [ ! -e "$data/PG_VERSION" ] || die "$data holds a server already"
  names=$("$bin/psql" -X -A -t -d "$primary dbname=postgres" -c 'SHOW synchronous_standby_names')
  "$bin/pg_basebackup" -D "$data" -d "$primary application_name=$name" -X stream -C -S "$name" -R -c fast > /dev/null
  configure "$data" "$name"
  # Only a standby that the primary waits for may ever be promoted: any other can miss acknowledged entries.
  case $names in
    *"\"$name\""*) echo synchronous > "$data/gatehouse.standby" ;;
    *) echo asynchronous > "$data/gatehouse.standby" ;;
  esac
  start "$data"
}

state() {
  local data=$1
  ask "$data" "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END"
  ask "$data" "SELECT application_name, state, sync_state FROM pg_stat_replication ORDER BY 1"
}

fence() {
  local data=$1
  "$bin/pg_ctl" -D "$data" -w -m immediate stop > /dev/null 2>&1 || true
  ! "$bin/pg_ctl" -D "$data" status > /dev/null 2>&1 || die "the server in $data still runs"
  # With this file the server can only start read-only, also after a reboot or when an init system or a person starts it.
  touch "$data/standby.signal"
}

promote() {
  local data=$1 peer=$2
  [ -e "$data/standby.signal" ] || die "the server in $data is not a standby"
  [ "$(cat "$data/gatehouse.standby" 2> /dev/null)" = synchronous ] ||
    die "the server in $data was not the synchronous standby: it can lack entries that were acknowledged"
  # Set the peer before the promotion: no commit may be acknowledged that only this server has.
  configure "$data" "$peer"
  "$bin/pg_ctl" -D "$data" reload > /dev/null
  "$bin/pg_ctl" -D "$data" -w -t 60 promote > /dev/null
  rm -f "$data/gatehouse.standby"
}

rejoin() {
  local data=$1 name=$2 primary=$3 aside
  [ -e "$data/standby.signal" ] || die "fence the server in $data first"
  ! "$bin/pg_ctl" -D "$data" status > /dev/null 2>&1 || die "the server in $data still runs"
  # Commits that only this server has were never acknowledged. The old data is kept for inspection, not merged.
  aside="$data.$(date -u +%Y%m%dT%H%M%SZ)"
  mv "$data" "$aside"
  standby "$data" "$name" "$primary"
  echo "the old data is in $aside"
}

[ "$(id -u)" != 0 ] || die "PostgreSQL does not run as root; use the server's own user"
[ -x "$bin/postgres" ] || die "there is no postgres in $bin; set PGBIN"
[ $# -ge 2 ] || die "usage: see the first lines of $0"
verb=$1
shift
case $verb in
  primary | promote) [ $# = 2 ] || die "$verb DATA PEER" ;;
  standby | rejoin) [ $# = 3 ] || die "$verb DATA NAME PRIMARY" ;;
  state | fence) [ $# = 1 ] || die "$verb DATA" ;;
  *) die "there is no $verb" ;;
esac
"$verb" "$@"
