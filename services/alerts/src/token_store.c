#include "token_store.h"

#include "alerts_sql.h"

#define RENEW_MS (20 * SECOND_MS)
#define WAIT_MS 200
#define WAITS_MAX 50

void token_owner_init(token_owner *self, service *svc, db *conn, const crypto_keyring *keys, int32_t company, const char *kind) {
    *self = (token_owner){svc, conn, keys, company, kind};
}

static sv place_of(const token_owner *self, sv key, arena *memory) {
    return sv_of(arena_printf(memory, "token/%s/%.*s", self->channel, SV_ARG(key)));
}

static err_t token_read(void *owner, sv key, arena *memory, sv *out_value, instant_ms *out_expires_at) {
    token_owner *self = owner;
    AUTO(db_rows) row = {0};
    AUTO(buf) open = {0};
    buf_init(&open, 8192);
    err_t err = db_query(self->conn, &SQL_TOKEN_READ,
                         DB_PARAMS(DB_I32(self->company), DB_CSTR(self->channel), DB_TEXT(key), DB_TIME(service_now(self->svc))), &row);
    if (err) return err;
    if (row.len == 0) return ERR_NOT_FOUND;
    err = crypto_open(self->keys, self->company, place_of(self, key, memory), db_bytes(&row, 0, 0), &open);
    if (err) return err;
    *out_value = arena_copy(memory, buf_view(&open));
    *out_expires_at = db_time(&row, 0, 1);
    return ERR_OK;
}

static err_t write_token(token_owner *self, sv key, sv value, instant_ms expires_at, arena *memory) {
    AUTO(buf) sealed = {0};
    buf_init(&sealed, 8192);
    crypto_seal(self->keys, self->company, place_of(self, key, memory), value, &sealed);
    return db_exec(self->conn, &SQL_TOKEN_WRITE,
                   DB_PARAMS(DB_I32(self->company), DB_CSTR(self->channel), DB_TEXT(key), DB_BYTES(buf_view(&sealed)), DB_TIME(expires_at)),
                   NULL);
}

// Whoever gets the lease renews; the others wait for what he stores.
static err_t token_renew(void *owner, sv key, sv stale_value, void *context,
                         err_t (*renew)(void *context, arena *memory, sv *out_value, instant_ms *out_expires_at), arena *memory,
                         sv *out_value) {
    token_owner *self = owner;
    instant_ms expires_at = 0;
    for (int i = 0; i < WAITS_MAX && !service_is_stopping(self->svc); i++) {
        err_t err = token_read(self, key, memory, out_value, &expires_at);
        if (err == ERR_OK && !sv_equal(*out_value, stale_value)) return ERR_OK;
        if (err && err != ERR_NOT_FOUND) return err;
        AUTO(db_rows) mine = {0};
        instant_ms now = service_now(self->svc);
        err =
            db_query(self->conn, &SQL_TOKEN_RENEWING,
                     DB_PARAMS(DB_I32(self->company), DB_CSTR(self->channel), DB_TEXT(key), DB_TIME(now), DB_TIME(now + RENEW_MS)), &mine);
        if (err) return err;
        if (mine.len > 0) {
            err = renew(context, memory, out_value, &expires_at);
            return err ? err : write_token(self, key, *out_value, expires_at, memory);
        }
        (void)service_wait(self->svc, WAIT_MS);
    }
    return ERR_UNAVAILABLE;
}

channel_store token_store(token_owner *self) { return (channel_store){self, token_read, token_renew}; }
