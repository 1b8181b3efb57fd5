# Reads C files and prints one line per offence: <rule> TAB <file>:<line>: <what>. The rules are explained in README.md.
# Comments and strings are told apart from code first, so that a rule looks only where it means something.
BEGIN {
    owner["libpq-fe.h"] = "libs/db"; owner["hiredis/"] = "libs/bus"; owner["openssl/"] = "libs/crypto"; owner["argon2.h"] = "libs/crypto"
    owner["jansson.h"] = "libs/json"; owner["curl/"] = "libs/httpc"; owner["zlib.h"] = "libs/zip"; owner["brotli/"] = "libs/zip"
    owner["event2/"] = "libs/httpd libs/service services/ingest/src/links"
    owner["xlsxwriter.h"] = "libs/documents"; owner["cairo"] = "libs/documents"; owner["pango/"] = "libs/documents"; owner["qrencode.h"] = "libs/documents"
    owner["sodium.h"] = "libs/crypto"; owner["mosquitto.h"] = "libs/mqtt"; owner["cmocka.h"] = "tests"

    # The pure libraries see memory and numbers, nothing of the machine.
    pure = " limits.h stdalign.h stdarg.h stdbool.h stddef.h stdint.h inttypes.h stdio.h stdnoreturn.h string.h stdlib.h immintrin.h "
    machine = pure " assert.h ctype.h dirent.h errno.h execinfo.h fcntl.h getopt.h ifaddrs.h netdb.h poll.h pthread.h sched.h setjmp.h " \
        "signal.h stdatomic.h stdio.h strings.h syslog.h termios.h threads.h time.h unistd.h grp.h pwd.h math.h locale.h ftw.h glob.h " \
        "byteswap.h endian.h spawn.h "
}

function offend(rule, what) { print rule "\t" FILENAME ":" FNR ": " what }

# Where a file stands: part (libs, services, tools, loadtest, tests) and unit (money, billing, ...).
function place(path,   pieces) {
    split(path, pieces, "/"); part = pieces[1]; unit = pieces[2]
    is_lib = part == "libs"; is_service = part == "services"; is_pure = is_lib && level[unit] == 1
    is_product = is_lib || is_service || part == "tools"
}

# Splits a line into code (strings emptied, comments gone) and text (the strings' insides), following block comments.
function split_line(line,   at, two, quote, end) {
    code = ""; text = ""
    while (line != "") {
        if (in_comment) {
            at = index(line, "*/"); if (!at) return
            line = substr(line, at + 2); in_comment = 0; continue
        }
        at = match(line, /["']|\/\/|\/\*/)
        if (!at) { code = code line; return }
        code = code substr(line, 1, at - 1); two = substr(line, at, 2); quote = substr(line, at, 1)
        if (two == "//") return
        if (two == "/*") { in_comment = 1; line = substr(line, at + 2); continue }
        line = substr(line, at + 1); end = 1
        while (end <= length(line) && substr(line, end, 1) != quote) end += substr(line, end, 1) == "\\" ? 2 : 1
        code = code quote quote; if (quote == "\"") text = text substr(line, 1, end - 1) "\n"
        line = substr(line, end + 1)
    }
}

function exists(path,   line, there) { there = (getline line < path) >= 0; close(path); return there }

function check_quoted_include(name,   pieces, lib, folder) {
    split(name, pieces, "/"); lib = pieces[1]
    if (part == "tests" || part == "loadtest") return
    if (name ~ /\.\.\//) { offend("layering", "an include climbs out of its folder: " name); return }
    if ((lib in level) && pieces[2] != "" && !(is_lib && lib == unit)) {
        if (!is_lib) return
        if (!may_use(unit, lib)) offend("layering", "libs/" unit " may not use libs/" lib)
        if (level[unit] == 1 && name ~ /^base\/(log|crash_point)\.h$/) offend("purity", "a pure library may not use " name)
        return
    }
    if (name ~ /_sql\.h$/) {
        if (part != "tools" && name != unit "_sql.h") offend("layering", "the statements of somebody else: " name)
        return
    }
    if (part == "tools" && name == "fleet/profile.h") return # the demo's history ends where the simulated meters begin
    folder = FILENAME; sub(/\/[^\/]*$/, "", folder)
    if (!exists(folder "/" name) && !exists(part "/" unit "/src/" name) && !exists(part "/" unit "/include/" name))
        offend("layering", "not a header of this folder or of a library: " name)
}

function check_angle_include(name,   key, count, allowed, i) {
    if (is_pure && index(pure, " " name " ") == 0) {
        offend("purity", "a pure library may not include <" name ">"); return
    }
    if (index(machine, " " name " ") || name ~ /^(sys|netinet|arpa|net|linux)\//) return
    for (key in owner) {
        if (index(name, key) != 1) continue
        if (part == "loadtest" || part == "tests") return
        count = split(owner[key], allowed, " ")
        for (i = 1; i <= count; i++) if (index(FILENAME, allowed[i] "/") == 1) return
        offend("third_party", "<" name "> belongs to " owner[key]); return
    }
    if (part != "tests" && part != "loadtest") offend("third_party", "nobody owns <" name ">")
}

function check_code(   word, rest) {
    rest = code
    while (match(rest, /(^|[^A-Za-z0-9_.>])(v?sprintf|strn?cpy|strn?cat|ato[ifl]|atoll|gets|strtok|strtok_r|localtime|localtime_r|gmtime|gmtime_r|ctime|asctime|mktime|alloca|s?rand|rand_r|s?random|system|popen|tmpnam|tempnam|mktemp|setenv|putenv)[ ]*\(/)) {
        word = substr(rest, RSTART, RLENGTH); gsub(/[^a-z_]/, "", word)
        if (is_product || word !~ /env$/) offend("banned_calls", word) # a test or benchmark sets its own environment
        rest = substr(rest, RSTART + RLENGTH)
    }
    if ((is_lib || is_service) && (code ~ /(^|[^A-Za-z0-9_])(float|double)([^A-Za-z0-9_]|$)/ ||
        code ~ /(^|[^A-Za-z0-9_.])[0-9]+\.[0-9]+/)) offend("floating_point", code)
    # One exception: the calendar reads the system's tzdata, in one file.
    if (is_pure && FILENAME != "libs/calendar/src/zone.c" && (code ~ /(^|[^A-Za-z0-9_])(errno|FILE|stdin|stdout|stderr)([^A-Za-z0-9_]|$)/ ||
        code ~ /(^|[^A-Za-z0-9_])(clock_gettime|gettimeofday|time|getenv|printf|puts|putchar|getchar|remove|rename|getrandom)\(/))
        offend("purity", code)
}

function check_text(   low) {
    if (text == "") return
    low = tolower(text)
    if (is_product && unit != "db" && (low ~ /(^|[^a-z_])(select[ \n].*[ \n]from[ \n]|select[ \n]+[a-z_]+\.[a-z_]+\(|insert[ ]+into[ ]|delete[ ]+from[ ]|update[ ]+[a-z_.]+[ ]+set[ ]|truncate[ ]+table|copy[ ]+[a-z_.]+[ ]*\(|(create|alter|drop)[ ]+(table|role|index|schema|database|policy)[ ])/))
        offend("sql_placement", "SQL in a string")
    if (is_product && low ~ /maxlen/) offend("bus_trimming", "streams are trimmed by time")
    if (is_product && low ~ /(^|[^a-z_])(now\(\)|current_timestamp|clock_timestamp\(\)|statement_timestamp\(\))/) offend("service_clock", "the server's clock in SQL")
}

FNR == 1 { place(FILENAME); in_comment = 0; depth = 0; start = 0 }
FNR == 801 { offend("lengths", "the file is longer than 800 lines") }
/^[ \t]*#[ \t]*include[ \t]*"/ { split($0, piece, "\""); check_quoted_include(piece[2]); next }
/^[ \t]*#[ \t]*include[ \t]*</ { split($0, piece, /[<>]/); check_angle_include(piece[2]); next }
{
    split_line($0); check_code(); check_text()
    if (depth == 0 && code ~ /\)[ ]*\{[ ]*$/) start = FNR
    opened = gsub(/\{/, "{", code); closed = gsub(/\}/, "}", code); depth += opened - closed
    if (depth == 0 && start) {
        if (FNR - start + 1 > 100) offend("lengths", "the function ending here has " (FNR - start + 1) " lines")
        start = 0
    }
}
