#include "write.h"

#include "base/check.h"
#include "money/money.h"

void put_money(json_writer *out, const char *key, int64_t micro) {
    char text[DECIMAL_TEXT_MAX];
    size_t len = decimal_format(micro, MONEY_SCALE, 2, text);
    json_put_text(out, key, (sv){text, len});
}

void put_decimal_milli(json_writer *out, const char *key, int64_t milli) {
    char text[DECIMAL_TEXT_MAX];
    size_t len = decimal_format(milli, 3, 0, text);
    json_put_text(out, key, (sv){text, len});
}

void put_local_instant(json_writer *out, const char *key, const zone *where, instant_ms at) {
    json_put_instant(out, key, at, zone_stretch_at(where, at).offset_s);
}

void put_local_instant_or_null(json_writer *out, const char *key, const zone *where, const db_rows *rows, size_t row, int column) {
    if (db_is_null(rows, row, column))
        json_put_null(out, key);
    else
        put_local_instant(out, key, where, db_time(rows, row, column));
}

const char *utility_unit(sv utility) {
    bool is_volume = sv_equal(utility, SV("cold_water")) || sv_equal(utility, SV("hot_water")) || sv_equal(utility, SV("gas"));
    return is_volume ? "m3" : "kWh";
}

void put_reading_or_null(json_writer *out, const char *key, const zone *where, sv utility, const db_rows *rows, size_t row,
                         int value_column, int at_column) {
    if (db_is_null(rows, row, at_column)) {
        json_put_null(out, key);
        return;
    }
    json_key(out, key);
    json_open_object(out);
    put_decimal_milli(out, "value", db_i64(rows, row, value_column));
    json_put_text(out, "unit", sv_of(utility_unit(utility)));
    put_local_instant(out, "read_at", where, db_time(rows, row, at_column));
    json_close_object(out);
}

void put_uuid(json_writer *out, const char *key, const db_rows *rows, size_t row, int column) {
    char text[UUID_TEXT_LEN + 1];
    uuid_format(db_uuid(rows, row, column), text);
    json_put_text(out, key, sv_of(text));
}

const char *room_state_name(room_state state) {
    static const char *const NAMES[] = {
#define ROOM_STATE(name, text) [ROOM_STATE_##name] = (text),
#include "room_states.def"
#undef ROOM_STATE
    };
    CHECK((size_t)state < ARRAY_LEN(NAMES));
    return NAMES[state];
}

room_state room_state_of(bool has_account, bool is_lost, int64_t worst_level) {
    if (!has_account) return ROOM_STATE_NOT_OPENED;
    if (is_lost) return ROOM_STATE_LOST_CONTACT;
    CHECK(worst_level >= 0 && worst_level <= 3);
    return (room_state)(ROOM_STATE_NORMAL + worst_level);  // the levels of libs/ledger, in order
}
