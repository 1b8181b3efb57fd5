# Turns *.sql files into a C table of named statements. In the files, a statement starts with "-- name: <name>"; the
# comment lines behind it say what it promises and are left out; it ends at the next name or the end of the file.
function flush_statement() {
    if (name == "") return
    sub(/[ \n;]+$/, "", text)
    gsub(/\\/, "\\\\\\\\", text); gsub(/"/, "\\\"", text); gsub(/\n/, "\\n\"\n    \"", text)
    names[++count] = name; texts[count] = text; name = ""; text = ""
}
function fail(why) { print FILENAME ":" FNR ": " why > "/dev/stderr"; failed = 1; exit 1 }
FNR == 1 { flush_statement() }
/^-- name: / {
    flush_statement(); name = $3
    if (name !~ /^[a-z][a-z0-9_]*$/) fail("a statement name is lower_case")
    if (name in seen) fail("two statements are named " name)
    seen[name] = 1; next
}
/^[ \t]*--/ { next }
/^[ \t]*$/ { next }
{ if (name == "") fail("text before the first '-- name:'"); text = text (text == "" ? "" : "\n") $0 }
END {
    if (failed) exit 1
    flush_statement()
    header = out "/" symbol "_sql.h"; source = out "/" symbol "_sql.c"
    print "// Generated from the .sql files; edit those.\n#pragma once\n\n#include <stddef.h>\n\n#include \"db/statement.h\"\n" > header
    print "// Generated from the .sql files; edit those.\n#include \"" symbol "_sql.h\"\n" > source
    for (i = 1; i <= count; i++) {
        print "extern const db_statement SQL_" toupper(names[i]) ";" > header
        print "const db_statement SQL_" toupper(names[i]) " = {\"" names[i] "\",\n    \"" texts[i] "\"};\n" > source
    }
    print "\n// All of them, for the test that describes each against the migrated schema.\nextern const db_statement *const " toupper(symbol) "_SQL_ALL[];\nextern const size_t " toupper(symbol) "_SQL_COUNT;" > header
    print "const db_statement *const " toupper(symbol) "_SQL_ALL[] = {" > source
    for (i = 1; i <= count; i++) print "    &SQL_" toupper(names[i]) "," > source
    print "    NULL};\nconst size_t " toupper(symbol) "_SQL_COUNT = " count ";" > source
}
