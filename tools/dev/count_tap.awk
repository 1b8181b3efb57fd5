# Counts one suite's TAP. Prints "<passed> <failed> <skipped>"; why something failed beyond a "not ok" goes to `why`.
#   awk -v code=<exit status> -v why=<file> -f count_tap.awk <output>
# A line with deeper ones before it is their sum: it counts only when it failed although they passed. A skip counts as
# failed unless it says "tool: <what this system cannot have>". Ending early, silence or a bad status is one failure.
function depth_of(line,   at) { match(line, /^ */); return RLENGTH }
function fail(reason) { failed++; print reason > why }
{ sub(/\r$/, "") }
/^ *1\.\.[0-9]+/ { line = $0; gsub(/^ *1\.\.|[^0-9].*$/, "", line); if (depth_of($0) == 0) planned += line; next }
/^ *(not )?ok([ \t]|$)/ {
    depth = depth_of($0); bad = $0 ~ /^ *not ok/
    children = 0; bad_children = 0
    for (d in seen) if (d + 0 > depth) { children += seen[d]; bad_children += lost[d]; delete seen[d]; delete lost[d] }
    seen[depth]++; if (depth == 0) top++
    if (bad) lost[depth]++
    if (children) { if (bad && !bad_children) fail("failed although its parts passed: " $0); next }
    if (toupper($0) ~ /# *SKIP/) {
        if ($0 ~ /# *(SKIP|skip) +tool: /) skipped++
        else fail("skipped: " $0)
    } else if (bad) failed++
    else passed++
}
END {
    if (passed + failed + skipped == 0) fail("it reported no test (exit status " code ")")
    else if (planned > top) fail("it ended after " top " of " planned " tests (exit status " code ")")
    else if (code != 0 && failed == 0) fail("every test passed but the exit status is " code)
    print passed + 0, failed + 0, skipped + 0
}
