#include "db/pool.h"

#include <pthread.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "db_internal.h"

struct db_pool {
    db_options options;
    db_texts texts;
    size_t size;
    size_t out;    // connections in use
    size_t spare;  // open connections waiting in `idle`
    db **idle;
    pthread_mutex_t lock;
    pthread_cond_t given;
};

db_pool *db_pool_new(const db_options *options, size_t size) {
    CHECK(size > 0);
    db_pool *self = mem_new(1, sizeof *self);
    self->options = *options;
    self->texts = db_texts_copy(&self->options);
    self->size = size;
    self->idle = mem_new(size, sizeof *self->idle);
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&self->given, &attr);
    pthread_condattr_destroy(&attr);
    return self;
}

void db_pool_free(db_pool *self) {
    if (!self) return;
    CHECK(self->out == 0);
    for (size_t i = 0; i < self->spare; i++) db_close(self->idle[i]);
    mem_free(self->idle);
    db_texts_done(&self->texts);
    pthread_cond_destroy(&self->given);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

static struct timespec deadline_in(int32_t wait_ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t ns = at.tv_nsec + (int64_t)wait_ms * 1000000;
    at.tv_sec += ns / 1000000000;
    at.tv_nsec = ns % 1000000000;
    return at;
}

// Takes the right to use one connection, and the connection itself when one is open.
static err_t take_turn(db_pool *self, int32_t wait_ms, db **out_idle) {
    struct timespec deadline = deadline_in(wait_ms);
    pthread_mutex_lock(&self->lock);
    while (self->out == self->size) {
        if (pthread_cond_timedwait(&self->given, &self->lock, &deadline) != 0 && self->out == self->size) {
            pthread_mutex_unlock(&self->lock);
            return ERR_BUSY;
        }
    }
    self->out++;
    *out_idle = self->spare > 0 ? self->idle[--self->spare] : NULL;
    pthread_mutex_unlock(&self->lock);
    return ERR_OK;
}

static void give_turn(db_pool *self, db *idle) {
    pthread_mutex_lock(&self->lock);
    self->out--;
    if (idle) self->idle[self->spare++] = idle;
    pthread_cond_signal(&self->given);
    pthread_mutex_unlock(&self->lock);
}

err_t db_pool_take(db_pool *self, int32_t wait_ms, db **out_conn) {
    db *conn = NULL;
    err_t err = take_turn(self, wait_ms, &conn);
    if (err) return err;
    if (!conn) err = db_open(&self->options, &conn, NULL);
    if (err) {
        give_turn(self, NULL);
        return ERR_UNAVAILABLE;
    }
    *out_conn = conn;
    return ERR_OK;
}

void db_pool_give(db_pool *self, db *take_conn) {
    bool is_clean = !take_conn->is_broken && !take_conn->in_tx && !take_conn->in_copy && PQtransactionStatus(take_conn->pg) == PQTRANS_IDLE;
    if (!is_clean) {
        db_close(take_conn);
        take_conn = NULL;
    }
    give_turn(self, take_conn);
}
