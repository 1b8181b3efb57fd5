// Waiting for the server with a deadline of our own. statement_timeout is the server's promise; a stopped or
// unreachable server keeps none, so the client waits a little longer than that and then calls the connection lost.
#include <poll.h>

#include "base/clock.h"
#include "db_internal.h"

#define GRACE_MS 5000
#define NO_TIMEOUT_MS (60 * 60 * 1000)

int32_t db_patience_ms(const db *self) {
    int32_t limit = self->options.statement_timeout_ms;
    return limit > 0 ? limit + GRACE_MS : NO_TIMEOUT_MS;
}

static bool wait_socket(const db *self, short events, int64_t deadline_ms) {
    for (;;) {
        int64_t left = deadline_ms - clock_monotonic_ms();
        struct pollfd fd = {.fd = PQsocket(self->pg), .events = events};
        int ready = poll(&fd, 1, left > 0 ? (int)left : 0);
        if (ready > 0) return true;
        if (left <= 0) return false;
    }
}

err_t db_flush(db *self) {
    int64_t deadline_ms = clock_monotonic_ms() + db_patience_ms(self);
    for (;;) {
        int left = PQflush(self->pg);
        if (left == 0) return ERR_OK;
        if (left < 0) return db_note_error(self, NULL);
        if (!wait_socket(self, POLLIN | POLLOUT, deadline_ms)) return db_note_broken(self, "the server took no data in time");
        if (!PQconsumeInput(self->pg)) return db_note_error(self, NULL);
    }
}

err_t db_next_result(db *self, PGresult **out_result) {
    int64_t deadline_ms = clock_monotonic_ms() + db_patience_ms(self);
    while (PQisBusy(self->pg)) {
        if (!wait_socket(self, POLLIN, deadline_ms)) return db_note_broken(self, "the server did not answer in time");
        if (!PQconsumeInput(self->pg)) return db_note_error(self, NULL);
    }
    *out_result = PQgetResult(self->pg);
    return ERR_OK;
}

static bool is_good(const PGresult *result) {
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN;
}

err_t db_finish(db *self, PGresult **out_result) {
    PGresult *last = NULL;
    err_t first_err = ERR_OK;
    for (;;) {
        PGresult *next = NULL;
        err_t err = db_next_result(self, &next);
        if (err) {
            PQclear(last);
            return err;
        }
        if (!next) break;
        if (!is_good(next) && !first_err) first_err = db_note_error(self, next);
        bool enters_copy = PQresultStatus(next) == PGRES_COPY_IN;
        PQclear(last);
        last = next;
        if (enters_copy) break;  // the connection stays busy until the copy ends
    }
    if (!first_err && !last) first_err = db_note_error(self, NULL);
    if (first_err) {
        PQclear(last);
        return first_err;
    }
    *out_result = last;
    return ERR_OK;
}
