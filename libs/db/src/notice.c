// LISTEN and waiting for notifications.
#include <poll.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "db_internal.h"

static bool is_identifier(const char *name) {
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return len > 0 && len < 63 && name[len] == '\0';
}

// LISTEN takes no parameters and cannot be prepared, hence the checked name.
err_t db_listen(db *self, const char *channel) {
    CHECK(is_identifier(channel) && !self->in_tx);
    if (self->is_broken) return ERR_UNAVAILABLE;
    AUTO(buf) text = {.max = 100};
    buf_addf(&text, "listen %s", channel);
    if (!PQsendQuery(self->pg, buf_cstr(&text))) return db_note_error(self, NULL);
    PGresult *result = NULL;
    err_t err = db_flush(self);
    if (!err) err = db_finish(self, &result);
    PQclear(result);
    return err;
}

static bool take_notice(db *self, db_notice *out_notice) {
    PGnotify *notify = PQnotifies(self->pg);
    if (!notify) return false;
    sv_copy_truncated(sv_of(notify->relname), out_notice->channel, sizeof out_notice->channel);
    sv_copy_truncated(sv_of(notify->extra), out_notice->payload, sizeof out_notice->payload);
    PQfreemem(notify);
    return true;
}

err_t db_wait_notice(db *self, int32_t timeout_ms, db_notice *out_notice, bool *out_got) {
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    *out_got = false;
    if (self->is_broken) return ERR_UNAVAILABLE;
    for (;;) {
        if (!PQconsumeInput(self->pg)) return db_note_error(self, NULL);
        if (take_notice(self, out_notice)) {
            *out_got = true;
            return ERR_OK;
        }
        int64_t left = deadline_ms - clock_monotonic_ms();
        if (left <= 0) return ERR_OK;
        struct pollfd fd = {.fd = PQsocket(self->pg), .events = POLLIN};
        (void)poll(&fd, 1, (int)left);
    }
}
