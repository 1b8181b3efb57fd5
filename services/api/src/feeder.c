// The one replica that turns doorbells of `board` into events. It remembers a digest of each card it has told, per room,
// and tells only what differs; whatever it doubts, it forgets, and tells whole boards once more.
#include <string.h>

#include "api_sql.h"
#include "base/check.h"
#include "base/log.h"
#include "base/num_map.h"
#include "base/vec.h"
#include "contracts/streams.h"
#include "feed.h"
#include "json/json.h"
#include "json/json_writer.h"
#include "write.h"

#define LOCK_SPACE 7003
#define LOCK_KEY 1
#define LISTEN_MS 200
#define CALM_MS 500                  // at most one reading of a board in this time
#define CALM_FACTOR 10               // and at most a tenth of the time is spent on it
#define UNHEARD_MS (10 * SECOND_MS)  // without Redis every known board is read this often
#define ROOMS_PER_EVENT 500
#define EVENT_BYTES_MAX (1024u * 1024u)

typedef struct watched {
    int32_t company;
    int64_t property;
    bool is_dirty;
    int64_t not_before_ms;  // monotonic
} watched;

typedef struct feeder {
    service *svc;
    feed *feed;
    zone_set *zones;
    db *conn;
    bus *ear;
    bus_cursor cursor;
    num_map properties;  // num → watched
    num_map cards;       // room num → digest of its card as told
    int64_t heard_ms;
} feeder;

static err_t lead(feeder *self);
static err_t listen_to(feeder *self, arena *memory);
static err_t tell_dirty(feeder *self);
static err_t tell_property(feeder *self, watched *which);

static void forget(feeder *self) {
    size_t at = 0;
    int64_t num;
    void *value;
    while (num_map_next(&self->properties, &at, &num, &value)) mem_free(value);
    num_map_done(&self->properties);
    num_map_done(&self->cards);
    num_map_init(&self->properties);
    num_map_init(&self->cards);
}

void feed_run_feeder(service *svc, void *context) {
    feed *owner = context;
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    feeder self = {.svc = svc, .feed = owner, .zones = zones, .ear = service_bus_new(svc)};
    db_options options = service_db_options(svc, "feeder");
    num_map_init(&self.properties);
    num_map_init(&self.cards);
    while (!service_is_stopping(svc)) {
        bool is_leader = false;
        err_t err = self.conn == NULL || db_is_broken(self.conn) ? service_db_connect(svc, &options, &self.conn) : ERR_OK;
        if (!err) err = db_try_lock(self.conn, LOCK_SPACE, LOCK_KEY, &is_leader);
        if (!err && is_leader) err = lead(&self);
        if (err && !service_is_stopping(svc)) LOG_WARN("the event feed rests", LOG_S("reason", err_text(err)));
        forget(&self);
        (void)service_wait(svc, 1000);
    }
    forget(&self);
    bus_free(self.ear);
    db_close(self.conn);
}

// Until the service stops or the connection, and with it the lock, is lost.
static err_t lead(feeder *self) {
    bus_cursor_init(&self->cursor, stream_name(STREAM_BOARD));
    self->heard_ms = clock_monotonic_ms();
    AUTO_ARENA memory = arena_new(16u << 20);
    while (!service_is_stopping(self->svc)) {
        arena_reset(memory);
        err_t err = listen_to(self, memory);
        if (!err) err = tell_dirty(self);
        if (err && db_is_broken(self->conn)) return err;
        if (err) {
            LOG_WARN("a board could not be told; reading it again", LOG_S("reason", db_error_text(self->conn)));
            forget(self);
            (void)service_wait(self->svc, 1000);
        }
    }
    return ERR_OK;
}

static void mark(feeder *self, int32_t company, int64_t property) {
    watched *which = num_map_find(&self->properties, property);
    if (which == NULL) {
        which = mem_new(1, sizeof *which);
        which->company = company;
        which->property = property;
        (void)num_map_put(&self->properties, property, which);
    }
    which->is_dirty = true;
}

static void mark_all(feeder *self) {
    size_t at = 0;
    int64_t num;
    void *value;
    while (num_map_next(&self->properties, &at, &num, &value)) ((watched *)value)->is_dirty = true;
}

static void take_bell(feeder *self, sv payload) {
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    if (json_parse(payload, (json_limits){1u << 20, 3}, &doc, NULL) != ERR_OK) return;
    json_node root = json_root(doc);
    json_node company = json_member(&reader, &root, "company");
    json_node properties = json_member(&reader, &root, "properties");
    int32_t num = (int32_t)json_read_integer(&reader, &company, 1, INT32_MAX);
    size_t count = json_array_len(&reader, &properties);
    for (size_t i = 0; i < count && !json_reader_failed(&reader); i++) {
        json_node each = json_item(&reader, &properties, i);
        int64_t property = json_read_integer(&reader, &each, 1, INT64_MAX);
        if (!json_reader_failed(&reader)) mark(self, num, property);
    }
}

// A bell that cannot be heard is no error: boards are then read from time to time.
static err_t listen_to(feeder *self, arena *memory) {
    bus_messages messages = {0};
    err_t err = bus_read(self->ear, &self->cursor, 1, 1000, LISTEN_MS, memory, &messages);
    for (size_t i = 0; !err && i < messages.len; i++) take_bell(self, messages.items[i].payload);
    int64_t now_ms = clock_monotonic_ms();
    if (!err) {
        if (self->heard_ms == 0) mark_all(self);
        self->heard_ms = now_ms;
        return ERR_OK;
    }
    if (now_ms - self->heard_ms > UNHEARD_MS) {
        mark_all(self);
        self->heard_ms = now_ms;
    }
    (void)service_wait(self->svc, LISTEN_MS);
    return ERR_OK;
}

static err_t tell_dirty(feeder *self) {
    size_t at = 0;
    int64_t num;
    void *value;
    while (num_map_next(&self->properties, &at, &num, &value)) {
        watched *which = value;
        int64_t begun_ms = clock_monotonic_ms();
        if (!which->is_dirty || begun_ms < which->not_before_ms) continue;
        which->is_dirty = false;
        err_t err = tell_property(self, which);
        if (err) return err;
        int64_t spent_ms = clock_monotonic_ms() - begun_ms;
        which->not_before_ms = begun_ms + CALM_MS + CALM_FACTOR * spent_ms;
    }
    return ERR_OK;
}

// FNV-1a, never 0.
static void *digest_of(sv text) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < text.len; i++) hash = (hash ^ (uint8_t)text.ptr[i]) * 1099511628211u;
    return (void *)(uintptr_t)(hash | 1);
}

typedef struct told {
    int64_t room;
    void *digest;
} told;

typedef struct telling {
    db *conn;
    const db_rows *property;
    const zone *where;
    instant_ms now;
    buf rooms;
    size_t count;
} telling;

static err_t write_event(telling *self) {
    if (self->count == 0) return ERR_OK;
    AUTO(buf) payload;
    buf_init(&payload, 2 * EVENT_BYTES_MAX);
    json_writer out;
    json_writer_init(&out, &payload);
    json_open_object(&out);
    put_uuid(&out, "property", self->property, 0, 0);
    put_local_instant(&out, "as_of", self->where, self->now);
    json_key(&out, "rooms");
    buf_add(&self->rooms, SV("]"));
    json_add_raw(&out, buf_view(&self->rooms));
    json_close_object(&out);
    CHECK(!buf_has_failed(&payload) && !buf_has_failed(&self->rooms));
    buf_clear(&self->rooms);
    self->count = 0;
    return db_exec(self->conn, &SQL_FEED_ADD,
                   DB_PARAMS(DB_I64(self->now), DB_CSTR("board.changed"), DB_TEXT(buf_view(&payload)), DB_TIME(self->now)), NULL);
}

static err_t add_room(telling *self, sv card) {
    bool is_full = self->count == ROOMS_PER_EVENT || self->rooms.len + card.len + 2 > EVENT_BYTES_MAX;
    err_t err = is_full ? write_event(self) : ERR_OK;
    buf_add_byte(&self->rooms, self->count == 0 ? '[' : ',');
    buf_add(&self->rooms, card);
    self->count++;
    return err;
}

static err_t write_changed(feeder *self, telling *event, const db_rows *rooms, told *changed, size_t *out_count) {
    AUTO(buf) card;
    buf_init(&card, 65536);
    err_t err = ERR_OK;
    size_t count = 0;
    for (size_t i = 0; !err && i < rooms->len; i++) {
        buf_clear(&card);
        json_writer out;
        json_writer_init(&out, &card);
        write_board_room(&out, event->where, db_text(event->property, 0, 2), rooms, i);
        int64_t room = db_i64(rooms, i, BOARD_ROOM_NUM_COLUMN);
        void *digest = digest_of(buf_view(&card));
        if (num_map_find(&self->cards, room) == digest) continue;
        changed[count++] = (told){room, digest};
        err = add_room(event, buf_view(&card));
    }
    if (!err) err = write_event(event);
    *out_count = count;
    return err;
}

static err_t tell_property(feeder *self, watched *which) {
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) property = {0};
    AUTO(db_rows) rooms = {0};
    fault why = {0};
    telling event = {.conn = self->conn, .property = &property, .now = service_now(self->svc)};
    err_t err = db_begin(self->conn, &tx);
    if (!err) err = db_set_company(self->conn, which->company);
    if (!err) err = db_query(self->conn, &SQL_FEED_PROPERTY, DB_PARAMS(DB_I64(which->property)), &property);
    if (err || property.len == 0) return err;  // a property nobody knows: the bell was wrong
    err = zone_set_find(self->zones, db_text(&property, 0, 1), &event.where, &why);
    if (err) return err;
    instant_ms day = zone_day_start(event.where, zone_local_day(event.where, event.now));
    err = db_query(self->conn, &SQL_BOARD_ROOMS, DB_PARAMS(DB_I64(which->property), DB_TIME(event.now), DB_TIME(day), DB_NULL), &rooms);
    if (err) return err;
    told *changed = mem_new(rooms.len + 1, sizeof *changed);
    size_t count = 0;
    buf_init(&event.rooms, EVENT_BYTES_MAX + 65536);
    err = write_changed(self, &event, &rooms, changed, &count);
    if (!err) err = db_commit(&tx);
    for (size_t i = 0; !err && i < count; i++) (void)num_map_put(&self->cards, changed[i].room, changed[i].digest);
    buf_done(&event.rooms);
    mem_free(changed);
    return err;
}
