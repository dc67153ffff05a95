# Sourced by tools/setup and the boot scripts beside it: where things are, and processes that start and stop once.
# Everything that is installed or written stands in $CACHE, outside the tree.

CACHE=${MOVEOUT_CACHE:-$HOME/.cache/moveout}
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# One exact version each; a new version is a new folder, so an old cache can never be mistaken for the new one.
DYNAMODB_LOCAL_VERSION=3.3.1
S3PROXY_VERSION=4.1.0
DYNALITE_VERSION=4.0.0
DYNAMODB_LOCAL=$CACHE/parts/dynamodb-local-$DYNAMODB_LOCAL_VERSION
S3PROXY=$CACHE/parts/s3proxy-$S3PROXY_VERSION
DYNALITE=$CACHE/parts/dynalite-$DYNALITE_VERSION
DYNAMODB_CONTROL=$DYNAMODB_LOCAL/control-$(cksum <"$TOOLS/parts/DynamoDbLocalControl.java" | cut -d' ' -f1)
GO_WAY=$CACHE/parts/go_way-$(cat "$TOOLS"/../bench/go/* | cksum | cut -d' ' -f1)
VENV=$CACHE/venv-$(cksum <"$TOOLS/requirements.txt" | cut -d' ' -f1)

die() { echo "$(basename "$0"): $*" >&2; exit 1; }

# need_part FOLDER: the part is installed, or the way to install it is named.
need_part() { [ -e "$1/.done" ] || die "$(basename "$1") is not installed; run \`make setup\` first"; }

# started_at PID: the kernel's start time, which tells a process from a later one with the same id.
started_at() { sed -n 's/^.*) //p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# running PIDFILE: the very process that was started stands, and is no zombie.
running() {
  local pid start
  read -r pid start 2>/dev/null <"$1" || return 1
  [ -n "$start" ] && [ "$(started_at "$pid")" = "$start" ] && ! grep -qs '^State:.[ZX]' "/proc/$pid/status"
}

# start_background PIDFILE LOGFILE COMMAND…: in a session of its own.
start_background() {
  local pidfile=$1 log=$2
  shift 2
  setsid "$@" >"$log" 2>&1 </dev/null &
  echo "$! $(started_at $!)" >"$pidfile"
}

stop_process() {
  local pid
  if running "$1"; then
    read -r pid _ <"$1"
    kill "$pid"
    for _ in $(seq 100); do running "$1" || break; sleep 0.1; done
    if running "$1"; then kill -9 "$pid"; fi
  fi
  rm -f "$1"
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port: below the ephemeral range, so that no outgoing connection takes it meanwhile.
free_port() {
  local port
  while :; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    port_is_free "$port" && { echo "$port"; return; }
  done
}

# wait_port PORT SECONDS PIDFILE LOGFILE
wait_port() {
  local end=$(($(date +%s) + $2))
  until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
    running "$3" || { echo "the server died; its log ends with:" >&2; tail -n 5 "$4" >&2; return 1; }
    [ "$(date +%s)" -lt "$end" ] || { echo "port $1 did not open within $2 s" >&2; return 1; }
    sleep 0.1
  done
}

# serve PART "$@": start, stop, run and status of one named instance; the script that calls it defines
#   command_line   sets COMMAND to what runs in the foreground on $PORT (and $CONTROL)
#   announce       prints the addresses, as name=value lines
# Several instances stand side by side under different names. State and log: $DIR.
serve() {
  local part=$1 action=start
  shift
  case ${1:-} in start | stop | run | status) action=$1; shift ;; esac
  NAME=default PORT=${PORT:-0} CONTROL=${CONTROL:-0} DATA=${DATA:-} DIR=
  while [ $# -gt 0 ]; do
    case $1 in
      --name) NAME=$2 ;;
      --port) PORT=$2 ;;
      --control) CONTROL=$2 ;;
      --data) DATA=$2 ;;
      --dir) DIR=$2 ;;
      *) die "usage: $part [start|stop|run|status] [--name N] [--port P] [--control P] [--data DIR] [--dir DIR]; port 0 takes a free one" ;;
    esac
    shift 2
  done
  DIR=${DIR:-$CACHE/run/$part/$NAME}
  mkdir -p "$DIR"
  local pidfile=$DIR/pid log=$DIR/log port=$PORT control=$CONTROL
  case $action in
    stop) stop_process "$pidfile"; rm -f "$DIR/address"; return ;;
    status) running "$pidfile" && cat "$DIR/address"; return ;;
    run)
      [ "$PORT" != 0 ] || die "run needs --port"
      command_line
      exec "${COMMAND[@]}" ;;
  esac
  if running "$pidfile"; then cat "$DIR/address"; return; fi
  for _ in 1 2 3; do
    PORT=$port CONTROL=$control
    [ "$PORT" != 0 ] || PORT=$(free_port)
    [ "$CONTROL" != 0 ] || CONTROL=$(free_port)
    port_is_free "$PORT" || die "port $PORT is taken"
    command_line
    start_background "$pidfile" "$log" "${COMMAND[@]}"
    if wait_port "$PORT" 60 "$pidfile" "$log" && { [ "$part" != dynamodb-local ] || wait_port "$CONTROL" 10 "$pidfile" "$log"; }; then
      announce | tee "$DIR/address"
      return
    fi
    stop_process "$pidfile"
    [ "$port" = 0 ] || break  # a port that was asked for is not exchanged for another
  done
  die "$part did not start; see $log"
}
