# What ./run and ./test need before they can start: Debian packages, a current Node, built programs. Sourced, with
# $root set to the checkout. Every step does nothing, quickly, where everything is there.

die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }
say() { printf '%s\n' "$*"; }

# A name after | is another package that serves as well.
PACKAGES_TO_RUN="build-essential cmake ninja-build pkg-config ca-certificates tzdata util-linux libevent-dev libhiredis-dev libpq-dev
    libjansson-dev libssl-dev libargon2-dev libcurl4-openssl-dev zlib1g-dev libcmocka-dev postgresql redis-server nodejs npm|nodejs"
PACKAGES_TO_TEST="git clang clang-format libclang-rt-dev|libclang-rt-14-dev chromium fonts-noto-cjk"
NODE_WANTED=20.19

installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -q '^installed$'; }
is_there() {
    local name
    for name in ${1//|/ }; do
        # A Node of another origin brings npm itself; whoever has both commands needs no package.
        case $1 in nodejs|npm*) command -v node >/dev/null && command -v npm >/dev/null && return 0; continue ;; esac
        installed "$name" && return 0
    done
    return 1
}

# ensure_packages <package>...
ensure_packages() {
    command -v dpkg-query >/dev/null || { say "This is not Debian: installing nothing; the packages wanted are named in tools/dev/prepare.bash"; return; }
    local missing=() package as_root=()
    for package in "$@"; do is_there "$package" || missing+=("${package%%|*}"); done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "these packages are missing and neither root nor sudo is here: ${missing[*]}"
        as_root=(sudo)
    fi
    say "Installing ${missing[*]}"
    # The lists are fetched only when they do not know a package or what they know is no longer offered.
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120)
    "${apt[@]}" install --no-install-recommends "${missing[@]}" >"$log_dir/apt.log" 2>&1 && return
    "${apt[@]}" update >>"$log_dir/apt.log" 2>&1 &&
        "${apt[@]}" install --no-install-recommends "${missing[@]}" >>"$log_dir/apt.log" 2>&1 ||
        { tail -20 "$log_dir/apt.log" >&2; die "could not install ${missing[*]}"; }
}

node_is_current() { "$1" -e 'const [a, b] = process.versions.node.split("."), [c, d] = process.argv[1].split("."); process.exit(+a > +c || (+a === +c && +b >= +d) ? 0 : 1)' "$NODE_WANTED" 2>/dev/null; }

# Puts a Node that is new enough first on PATH: the system's, else the locked one of tools/node.
ensure_node() {
    command -v node >/dev/null && node_is_current node && return
    local bin
    bin=$(ls -d "$root"/.tools/node/node_modules/node-linux-*/bin 2>/dev/null | head -1)
    if [ -z "$bin" ] || ! node_is_current "$bin/node"; then
        say "Fetching a current Node into .tools (the system's is $(node --version 2>/dev/null || echo absent))"
        mkdir -p "$root/.tools/node"
        cp "$root"/tools/node/package.json "$root"/tools/node/package-lock.json "$root"/tools/node/.npmrc "$root/.tools/node/"
        (cd "$root/.tools/node" && npm ci --no-audit --no-fund) >"$log_dir/node.log" 2>&1 || { tail -20 "$log_dir/node.log" >&2; die 'could not fetch Node'; }
        bin=$(ls -d "$root"/.tools/node/node_modules/node-linux-*/bin 2>/dev/null | head -1)
    fi
    [ -n "$bin" ] && node_is_current "$bin/node" || die "no Node $NODE_WANTED or newer for this machine"
    PATH=$bin:$PATH
}

# ensure_modules <folder>: npm ci, once per lock file.
ensure_modules() {
    local folder=$root/$1 stamp mark
    stamp=$(sha256sum "$folder/package-lock.json" | cut -c1-16)
    mark=$folder/node_modules/.installed-$stamp
    [ -f "$mark" ] && return
    (cd "$folder" && npm ci --no-audit --no-fund) >"$log_dir/npm-${1//\//-}.log" 2>&1 || {
        grep -v -E '^npm (error )?(A complete|Options|  )' "$log_dir/npm-${1//\//-}.log" | head -12 >&2
        printf 'npm ci in %s failed\n' "$1" >&2
        return 1
    }
    touch "$mark"
}

# configure <preset>: a folder configured for another place (the checkout was moved or copied) is made anew.
configure() {
    local folder=$root/build/$1 log=$log_dir/configure-$1.log home
    home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$folder/CMakeCache.txt" 2>/dev/null)
    [ -z "$home" ] || [ "$home" = "$root" ] || rm -rf "$folder"
    if [ -f "$folder/build.ninja" ]; then cmake --build "$folder" --target build.ninja >"$log" 2>&1; else (cd "$root" && cmake --preset "$1") >"$log" 2>&1; fi ||
        { tail -30 "$log" >&2; return 1; }
}

# build <preset> [<target>...]: builds what changed, and goes on past what does not build.
build() {
    local preset=$1 folder=$root/build/$1 log=$log_dir/build-$1.log; shift
    configure "$preset" || return 1
    cmake --build "$folder" ${1:+--target "$@"} -- -k 0 >"$log" 2>&1 || { grep -E -A6 'error|FAILED' "$log" | head -60 >&2; return 1; }
}

# The dashboard is built when something it is made of is newer than the result.
build_web() {
    [ -f "$root/web/package.json" ] || return 0
    local made=$root/build/web.built newer
    if [ -f "$made" ] && [ -f "$root/web/dist/index.html" ]; then
        newer=$(find "$root/web" "$root/services/api/openapi.yaml" \( -name node_modules -o -name dist -o -name schema.d.ts \) -prune -o \
            -type f -newer "$made" -print -quit)
        [ -z "$newer" ] && return 0
    fi
    ensure_node
    ensure_modules web || return 1
    (cd "$root/web" && npm run build) >"$log_dir/web.log" 2>&1 || { tail -40 "$log_dir/web.log" >&2; return 1; }
    mkdir -p "$root/build" && touch "$made"
}
