// Subscribers and the follower; see feed.h. The feeder is in feeder.c.
#include "feed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "api_sql.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"

#define FOLLOW_MS 150
#define SUBSCRIBERS_MAX 2000
#define SUBSCRIBERS_PER_OPERATOR 24
#define LIFETIME_MS (10 * MINUTE_MS)  // then the browser comes back, and its session is looked at again
#define SWEEP_MS MINUTE_MS
#define FEED_KEPT_MS HOUR_MS

typedef struct subscriber {
    int32_t company;
    int64_t operator_num;
    int64_t seq;  // the last event that was sent
    bool sees_all;
    uuid *properties;
    size_t property_count;
    int64_t opened_ms;
    httpd_stream *stream;  // NULL once we have closed it
    atomic_bool is_closed;
} subscriber;

struct feed {
    api_app *app;
    pthread_mutex_t lock;
    VEC(subscriber *) list;
};

feed *feed_new(api_app *app) {
    feed *self = mem_new(1, sizeof *self);
    self->app = app;
    CHECK(pthread_mutex_init(&self->lock, NULL) == 0);
    return self;
}

static void free_subscriber(subscriber *each) {
    if (each->stream != NULL) httpd_stream_close(each->stream);
    mem_free(each->properties);
    mem_free(each);
}

void feed_free(feed *self) {
    if (self == NULL) return;
    for (size_t i = 0; i < self->list.len; i++) free_subscriber(self->list.items[i]);
    vec_done(&self->list);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

int64_t feed_subscribers(void *context) {
    feed *self = context;
    pthread_mutex_lock(&self->lock);
    size_t count = self->list.len;
    pthread_mutex_unlock(&self->lock);
    return (int64_t)count;
}

static void note_closed(void *owner) { atomic_store(&((subscriber *)owner)->is_closed, true); }

// With the lock held.
static bool has_room(const feed *self, const feed_wish *wish) {
    size_t own = 0;
    for (size_t i = 0; i < self->list.len; i++)
        own += self->list.items[i]->company == wish->company && self->list.items[i]->operator_num == wish->operator_num;
    return self->list.len < SUBSCRIBERS_MAX && own < SUBSCRIBERS_PER_OPERATOR;
}

bool feed_subscribe(feed *self, httpd_response *response, const feed_wish *wish, sv first) {
    pthread_mutex_lock(&self->lock);
    bool is_welcome = has_room(self, wish);
    if (is_welcome) {
        subscriber *each = mem_new(1, sizeof *each);
        each->company = wish->company;
        each->operator_num = wish->operator_num;
        each->seq = wish->after;
        each->sees_all = wish->sees_all;
        each->property_count = wish->property_count;
        each->properties = mem_new(wish->property_count + 1, sizeof *each->properties);
        if (wish->property_count > 0) memcpy(each->properties, wish->properties, wish->property_count * sizeof *each->properties);
        each->opened_ms = clock_monotonic_ms();
        each->stream = httpd_response_stream(
            response, &(httpd_stream_options){.content_type = "text/event-stream", .closed = note_closed, .owner = each});
        (void)httpd_stream_send(each->stream, first);
        vec_push(&self->list, each);
    }
    pthread_mutex_unlock(&self->lock);
    return is_welcome;
}

// Drops who has gone; ends who has listened for long. With the lock held.
static void tidy(feed *self) {
    int64_t now_ms = clock_monotonic_ms();
    size_t kept = 0;
    for (size_t i = 0; i < self->list.len; i++) {
        subscriber *each = self->list.items[i];
        if (each->stream != NULL && now_ms - each->opened_ms > LIFETIME_MS) {
            httpd_stream_close(each->stream);
            each->stream = NULL;
        }
        if (atomic_load(&each->is_closed))
            free_subscriber(each);
        else
            self->list.items[kept++] = each;
    }
    self->list.len = kept;
}

typedef struct positions {
    VEC(int32_t) companies;
    VEC(int64_t) after;
} positions;

// The least position of each company with subscribers. With the lock held.
static void collect(const feed *self, positions *out) {
    for (size_t i = 0; i < self->list.len; i++) {
        const subscriber *each = self->list.items[i];
        size_t at = 0;
        while (at < out->companies.len && out->companies.items[at] != each->company) at++;
        if (at == out->companies.len) {
            vec_push(&out->companies, each->company);
            vec_push(&out->after, each->seq);
        } else if (each->seq < out->after.items[at]) {
            out->after.items[at] = each->seq;
        }
    }
}

static bool sees(const subscriber *self, sv property_text) {
    uuid property;
    if (self->sees_all) return true;
    if (!uuid_parse(property_text, &property)) return false;
    for (size_t i = 0; i < self->property_count; i++)
        if (memcmp(&self->properties[i], &property, sizeof property) == 0) return true;
    return false;
}

// With the lock held.
static void pass_on(feed *self, const db_rows *rows) {
    for (size_t row = 0; row < rows->len; row++) {
        int64_t company = db_i64(rows, row, 0);
        int64_t seq = db_i64(rows, row, 1);
        AUTO(buf) text;
        buf_init(&text, 1u << 20);
        buf_addf(&text, "id: %lld\nevent: ", (long long)seq);
        buf_add(&text, db_text(rows, row, 2));
        buf_add(&text, SV("\ndata: "));
        buf_add(&text, db_text(rows, row, 3));
        buf_add(&text, SV("\n\n"));
        for (size_t i = 0; i < self->list.len; i++) {
            subscriber *each = self->list.items[i];
            if (each->company != company || each->seq >= seq) continue;
            each->seq = seq;
            if (each->stream != NULL && sees(each, db_text(rows, row, 4))) (void)httpd_stream_send(each->stream, buf_view(&text));
        }
    }
}

static err_t follow(feed *self, db *conn) {
    positions from = {0};
    pthread_mutex_lock(&self->lock);
    tidy(self);
    collect(self, &from);
    pthread_mutex_unlock(&self->lock);
    err_t err = ERR_OK;
    if (from.companies.len > 0) {
        AUTO(db_rows) rows = {0};
        err = db_query(conn, &SQL_FEED_AFTER,
                       DB_PARAMS(DB_I32_ARRAY(from.companies.items, from.companies.len), DB_I64_ARRAY(from.after.items, from.after.len)),
                       &rows);
        if (!err && rows.len > 0) {
            pthread_mutex_lock(&self->lock);
            pass_on(self, &rows);
            pthread_mutex_unlock(&self->lock);
        }
    }
    vec_done(&from.companies);
    vec_done(&from.after);
    return err;
}

static db_options worker_options(service *svc, const char *purpose) {
    db_options options = service_db_options(svc, purpose);
    options.user = API_SERVICE.worker_role;
    return options;
}

void feed_run_follower(service *svc, void *context) {
    feed *self = context;
    db_options options = worker_options(svc, "follower");
    AUTO_DB conn = NULL;
    bool was_well = true;
    while (!service_is_stopping(svc)) {
        err_t err = conn == NULL || db_is_broken(conn) ? service_db_connect(svc, &options, &conn) : ERR_OK;
        if (!err) err = follow(self, conn);
        if (err && was_well && !service_is_stopping(svc))
            LOG_WARN("events are late; trying again", LOG_S("reason", conn ? db_error_text(conn) : "no connection"));
        was_well = !err;
        (void)service_wait(svc, FOLLOW_MS);
    }
}

static err_t sweep(db *conn, instant_ms now) {
    const struct {
        const db_statement *statement;
        int64_t kept_ms;
    } all[] = {{&SQL_SWEEP_FEED, FEED_KEPT_MS},
               {&SQL_SWEEP_SESSIONS, 0},
               {&SQL_SWEEP_DELAYS, DAY_MS},
               {&SQL_SWEEP_KEYS, DAY_MS},
               {&SQL_SWEEP_READ_REQUESTS, 7 * DAY_MS}};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        err_t err = db_exec(conn, all[i].statement, DB_PARAMS(DB_TIME(now - all[i].kept_ms)), NULL);
        if (err) return err;
    }
    return ERR_OK;
}

void feed_run_sweeper(service *svc, void *context) {
    (void)context;
    db_options options = worker_options(svc, "sweeper");
    AUTO_DB conn = NULL;
    while (!service_is_stopping(svc)) {
        err_t err = conn == NULL || db_is_broken(conn) ? service_db_connect(svc, &options, &conn) : ERR_OK;
        if (!err) err = sweep(conn, service_now(svc));
        if (err && !service_is_stopping(svc))
            LOG_WARN("old rows stay for a while", LOG_S("reason", conn ? db_error_text(conn) : "no connection"));
        (void)service_wait(svc, SWEEP_MS);
    }
}
