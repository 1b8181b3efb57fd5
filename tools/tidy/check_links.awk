# Reads CMakeLists.txt of libraries and services: what is linked obeys the same order as what is included.
function offend(what) { print "layering\t" FILENAME ":" FNR ": " what }
FNR == 1 { split(FILENAME, place, "/"); inside = 0 }
/penstock_(service|lib)\(/ { inside = 1 }
{
    line = $0; gsub(/[()]/, " ", line); count = split(line, word, /[ \t]+/)
    for (i = 1; i <= count; i++) {
        if (place[1] == "services" && word[i] ~ /^service_[a-z]/) offend("a service uses another")
        if (inside && place[1] == "libs" && (word[i] in level) && word[i] != place[2] && !may_use(place[2], word[i]))
            offend("libs/" place[2] " may not use libs/" word[i])
    }
}
/\)/ { inside = 0 }
