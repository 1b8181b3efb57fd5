# Which library stands on which; a library that is not named here has no place and may use nothing.
BEGIN {
    split("money calendar metering rating ledger switching charging protocols contracts", list); for (i in list) level[list[i]] = 1
    split("json db bus httpd httpc crypto zip", list); for (i in list) level[list[i]] = 2
    level["documents"] = 3
    level["balances"] = 3
    level["setups"] = 4
    level["explaining"] = 5
    level["simulation"] = 6
    level["service"] = 5
    level["base"] = 0
}

# Base stands alone; the pure libraries see base and one another; those around a foreign library see base only; the
# others see what stands lower, except that the services' skeleton knows no tariff documents.
function may_use(user, used) {
    if (!(user in level)) return 0
    if (level[user] == 1) return level[used] <= 1
    if (level[user] == 2) return level[used] == 0
    if (user == "service") return level[used] <= 2
    return level[used] < level[user]
}
