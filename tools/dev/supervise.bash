# Keeps the programs of a local run alive. Sourced by ./run, with $run_dir set. Every program is a child of this shell in
# a session of its own, so that a Ctrl-C reaches only this shell, which stops them in order; should this shell die, the
# kernel asks them to stop. Nothing is ever ended by its name.
#
#   watch NAME COMMAND...        start it and start it again when it ends, after 1, 2, 4, ... 30 s
#   keep_alive                   one look at all of them; call it each second
#   stop_programs NAME...        stop in this order, each within its time

declare -A child_pid child_command child_started child_restart child_delay child_deaths
STOP_SECONDS=20
STEADY_SECONDS=60
LOG_BYTES_MAX=100000000

log_of() { printf '%s/log/%s.log' "$run_dir" "$1"; }
note() { printf '%s %s\n' "$(date -u +%FT%TZ)" "$*" >>"$run_dir/log/supervisor.log"; }

launch() {
    local name=$1 command
    eval "command=(${child_command[$name]})"
    setsid setpriv --pdeathsig TERM "${command[@]}" >>"$(log_of "$name")" 2>&1 </dev/null 9>&- &
    child_pid[$name]=$!
    child_started[$name]=$SECONDS
    child_restart[$name]=''
    printf '%s\n' "$!" >"$run_dir/pids/$name"
    note "started $name as process $!"
}

watch() {
    local name=$1; shift
    child_command[$name]=$(printf '%q ' "$@")
    child_delay[$name]=1
    child_deaths[$name]=0
    launch "$name"
}

runs() { [ -n "${child_pid[$1]:-}" ] && kill -0 "${child_pid[$1]}" 2>/dev/null; }

# The last of what a program said, for whoever has to find out why it ended.
last_words() { tail -n "${2:-3}" "$(log_of "$1")" 2>/dev/null | cut -c1-300; }

keep_alive() {
    local name status
    for name in "${!child_pid[@]}"; do
        if [ -n "${child_restart[$name]}" ]; then
            [ "$SECONDS" -ge "${child_restart[$name]}" ] && launch "$name"
            continue
        fi
        runs "$name" && continue
        wait "${child_pid[$name]}" 2>/dev/null; status=$?
        [ $((SECONDS - child_started[$name])) -ge $STEADY_SECONDS ] && child_delay[$name]=1
        child_deaths[$name]=$((child_deaths[$name] + 1))
        child_restart[$name]=$((SECONDS + child_delay[$name]))
        note "$name ended with status $status; next start in ${child_delay[$name]} s: $(last_words "$name" 1)"
        [ -t 1 ] && printf '\r\033[K'   # over the status line
        printf '%s ended (status %s), starting it again in %s s; its log: %s\n' "$name" "$status" "${child_delay[$name]}" "$(log_of "$name")"
        child_delay[$name]=$((child_delay[$name] * 2)); [ "${child_delay[$name]}" -gt 30 ] && child_delay[$name]=30
    done
    return 0
}

# Logs are cut rather than allowed to fill the disk; programs append, so cutting in place is safe.
bound_logs() {
    local file
    for file in "$run_dir"/log/*.log; do
        [ "$(stat -c %s "$file" 2>/dev/null || echo 0)" -gt $LOG_BYTES_MAX ] && : >"$file"
    done
    return 0
}

await_pid_end() {
    local pid=$1 tenths=$(($2 * 10))
    while kill -0 "$pid" 2>/dev/null; do
        [ $tenths -gt 0 ] || return 1
        sleep 0.1; tenths=$((tenths - 1))
    done
}

stop_programs() {
    local name pid
    for name in "$@"; do
        pid=${child_pid[$name]:-}
        unset "child_pid[$name]"
        rm -f "$run_dir/pids/$name"
        [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || continue
        kill -CONT "$pid" 2>/dev/null; kill -TERM "$pid" 2>/dev/null
        await_pid_end "$pid" $STOP_SECONDS || { note "$name did not stop within $STOP_SECONDS s"; kill -KILL "$pid" 2>/dev/null; }
        wait "$pid" 2>/dev/null
        note "stopped $name"
    done
}

# Programs of an earlier run whose shell was killed: only a process that truly runs this checkout's program is touched.
end_leftovers() {
    local file pid
    for file in "$run_dir"/pids/*; do
        [ -f "$file" ] || continue
        pid=$(cat "$file")
        case $(readlink "/proc/$pid/exe" 2>/dev/null) in
            "$root"/build/*) kill -CONT "$pid"; kill -TERM "$pid"; await_pid_end "$pid" $STOP_SECONDS || kill -KILL "$pid" ;;
        esac
        rm -f "$file"
    done
}

port_is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

declare -A port_given
# pick_port <variable> <first choice>: that port or the next free one; each is given once.
pick_port() {
    local candidate=$2   # no local may bear the name of a caller's variable
    while [ -n "${port_given[$candidate]:-}" ] || port_is_taken "$candidate"; do
        candidate=$((candidate + 1))
        [ $candidate -le 65000 ] || die "no free port from $2 on"
    done
    port_given[$candidate]=1
    printf -v "$1" %s "$candidate"
}

# The status code of a GET on loopback, without needing any program.
http_status() {
    local port=$1 path=$2 line=''
    {
        exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$path" >&3 &&
            read -r -t 3 line <&3
        exec 3>&-
    } 2>/dev/null
    line=${line#* }
    printf '%s' "${line%% *}"
}
