// How the API writes what its schemas share: money, quantities and instants; and the room states.
#pragma once

#include "calendar/zone.h"
#include "db/db.h"
#include "json/json_writer.h"

// "12.50": at least two decimals, at most six.
void put_money(json_writer *out, const char *key, int64_t micro);
// "12.5": milli-units without needless decimals.
void put_decimal_milli(json_writer *out, const char *key, int64_t milli);
// In the zone's offset at that instant.
void put_local_instant(json_writer *out, const char *key, const zone *where, instant_ms at);
// The same, or null.
void put_local_instant_or_null(json_writer *out, const char *key, const zone *where, const db_rows *rows, size_t row, int column);
// {"value","unit","read_at"} of a register in milli-units, or null.
void put_reading_or_null(json_writer *out, const char *key, const zone *where, sv utility, const db_rows *rows, size_t row,
                         int value_column, int at_column);
void put_uuid(json_writer *out, const char *key, const db_rows *rows, size_t row, int column);

const char *utility_unit(sv utility);

// What a room's card shows; see RoomState in openapi.yaml.
typedef enum room_state {
#define ROOM_STATE(name, text) ROOM_STATE_##name,
#include "room_states.def"
#undef ROOM_STATE
    ROOM_STATE_COUNT
} room_state;

const char *room_state_name(room_state state);
// A card of the board from a row of board_rooms.
void write_board_room(json_writer *out, const zone *where, sv currency_text, const db_rows *rows, size_t row);
#define BOARD_ROOM_NUM_COLUMN 6
room_state room_state_of(bool has_account, bool is_lost, int64_t worst_level);
