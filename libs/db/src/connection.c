// Opening, losing and reopening a connection, and what its errors mean.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/mem.h"
#include "db_internal.h"

db_options db_options_default(const char *conninfo, const char *user, const char *application_name) {
    return (db_options){.conninfo = conninfo,
                        .user = user,
                        .application_name = application_name,
                        .connect_timeout_ms = 5000,
                        .statement_timeout_ms = 30000,
                        .lock_timeout_ms = 5000,
                        .idle_in_transaction_timeout_ms = 2000,
                        .tcp_user_timeout_ms = 10000};
}

static char *copy_text(const char *text) {
    if (!text) return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(mem_new(size, 1), text, size);
}

db_texts db_texts_copy(db_options *in_out_options) {
    db_texts texts = {copy_text(in_out_options->conninfo), copy_text(in_out_options->user), copy_text(in_out_options->application_name),
                      copy_text(in_out_options->search_path), copy_text(in_out_options->session_options)};
    in_out_options->conninfo = texts.conninfo;
    in_out_options->user = texts.user;
    in_out_options->application_name = texts.application_name;
    in_out_options->search_path = texts.search_path;
    in_out_options->session_options = texts.session_options;
    return texts;
}

void db_texts_done(db_texts *self) {
    mem_free(self->conninfo);
    mem_free(self->user);
    mem_free(self->application_name);
    mem_free(self->search_path);
    mem_free(self->session_options);
    *self = (db_texts){0};
}

static void ignore_notice(void *context, const PGresult *result) {
    (void)context;
    (void)result;
}

static err_t connect_now(db *self, fault *out_fault);

err_t db_open(const db_options *options, db **out_conn, fault *out_fault) {
    db *self = mem_new(1, sizeof *self);
    self->options = *options;
    self->texts = db_texts_copy(&self->options);
    self->slots = mem_new(PREPARED_SLOTS, sizeof *self->slots);
    buf_init(&self->encoded, ENCODED_MAX);
    err_t err = connect_now(self, out_fault);
    if (err) {
        db_close(self);
        return err;
    }
    *out_conn = self;
    return ERR_OK;
}

void db_close(db *self) {
    if (!self) return;
    if (self->pg) PQfinish(self->pg);
    db_forget_prepared(self);
    mem_free(self->slots);
    buf_done(&self->encoded);
    db_texts_done(&self->texts);
    mem_free(self);
}

void db_auto(db **self) {
    db_close(*self);
    *self = NULL;
}

err_t db_reset(db *self, fault *out_fault) {
    if (self->pg) PQfinish(self->pg);
    self->pg = NULL;
    db_forget_prepared(self);
    return connect_now(self, out_fault);
}

// What the connection string itself says, so that nothing it asks for is overridden by accident.
static bool conninfo_value(const db *self, const char *keyword, buf *out, fault *out_fault) {
    char *message = NULL;
    PQconninfoOption *all = PQconninfoParse(self->options.conninfo, &message);
    if (!all) {
        fault_set(out_fault, ERR_BAD_INPUT, "database", "%s", message ? message : "the connection string cannot be read");
        PQfreemem(message);
        return false;
    }
    for (PQconninfoOption *at = all; at->keyword; at++)
        if (at->val && strcmp(at->keyword, keyword) == 0) buf_add(out, sv_of(at->val));
    PQconninfoFree(all);
    return true;
}

static void add_session_options(const db *self, buf *out) {
    const db_options *o = &self->options;
    buf_addf(out, " -c timezone=UTC -c client_encoding=UTF8 -c search_path=%s", o->search_path ? o->search_path : "pg_catalog");
    buf_addf(out, " -c statement_timeout=%d -c lock_timeout=%d", o->statement_timeout_ms, o->lock_timeout_ms);
    buf_addf(out, " -c idle_in_transaction_session_timeout=%d -c idle_session_timeout=%d", o->idle_in_transaction_timeout_ms,
             o->idle_session_timeout_ms);
    buf_addf(out, " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=2 -c tcp_user_timeout=%d",
             o->tcp_user_timeout_ms);
    if (o->session_options) buf_addf(out, " %s", o->session_options);
}

static err_t connect_now(db *self, fault *out_fault) {
    self->is_broken = true;
    self->in_tx = self->in_copy = false;
    AUTO(buf) user = {.max = 200};
    AUTO(buf) options = {.max = 4000};
    if (!conninfo_value(self, "user", &user, out_fault) || !conninfo_value(self, "options", &options, out_fault)) return ERR_BAD_INPUT;
    add_session_options(self, &options);
    char connect_s[12], tcp_ms[12];
    snprintf(connect_s, sizeof connect_s, "%d", (self->options.connect_timeout_ms + 999) / 1000);
    snprintf(tcp_ms, sizeof tcp_ms, "%d", self->options.tcp_user_timeout_ms);
    bool takes_user = user.len == 0 && self->options.user;
    const char *keywords[] = {"dbname",
                              "application_name",
                              "connect_timeout",
                              "tcp_user_timeout",
                              "keepalives",
                              "keepalives_idle",
                              "keepalives_interval",
                              "keepalives_count",
                              "options",
                              takes_user ? "user" : NULL,
                              NULL};
    const char *values[] = {self->options.conninfo,
                            self->options.application_name,
                            connect_s,
                            tcp_ms,
                            "1",
                            "5",
                            "2",
                            "2",
                            buf_cstr(&options),
                            self->options.user,
                            NULL};
    self->pg = PQconnectdbParams(keywords, values, 1);
    CHECK(self->pg);
    if (PQstatus(self->pg) != CONNECTION_OK) {
        db_note_broken(self, PQerrorMessage(self->pg));
        return fault_set(out_fault, ERR_UNAVAILABLE, "database", "%s", self->error_text);
    }
    PQsetNoticeReceiver(self->pg, ignore_notice, NULL);
    PQsetnonblocking(self->pg, 1);
    self->is_broken = false;
    self->constraint[0] = self->sqlstate[0] = self->error_text[0] = '\0';
    return ERR_OK;
}

bool db_is_broken(const db *self) { return self->is_broken; }

void db_cut(db *self) {
    if (self->pg && PQsocket(self->pg) >= 0) shutdown(PQsocket(self->pg), SHUT_RDWR);
}

void db_break(db *self) {
    db_cut(self);
    self->is_broken = true;
}

int32_t db_backend_pid(const db *self) { return self->pg ? PQbackendPID(self->pg) : 0; }

int db_server_version(const db *self) { return self->pg ? PQserverVersion(self->pg) : 0; }

const char *db_constraint(const db *self) { return self->constraint; }

const char *db_sqlstate(const db *self) { return self->sqlstate; }

const char *db_error_text(const db *self) { return self->error_text; }

static void keep_text(char *out, size_t size, const char *text) { sv_copy_truncated(sv_trim(sv_of(text)), out, size); }

static err_t err_of_sqlstate(const char *state) {
    static const struct {
        const char *prefix;
        err_t err;
    } MAP[] = {{"40001", ERR_SERIALIZATION}, {"40P01", ERR_SERIALIZATION}, {"23", ERR_CONFLICT},    {"57014", ERR_TIMEOUT},
               {"55P03", ERR_TIMEOUT},       {"42501", ERR_FORBIDDEN},     {"53", ERR_UNAVAILABLE}, {"57", ERR_UNAVAILABLE},
               {"08", ERR_UNAVAILABLE},      {"25P03", ERR_UNAVAILABLE},   {"22", ERR_BAD_INPUT},   {"P0001", ERR_BAD_INPUT}};
    for (size_t i = 0; i < ARRAY_LEN(MAP); i++)
        if (strncmp(state, MAP[i].prefix, strlen(MAP[i].prefix)) == 0) return MAP[i].err;
    return ERR_INTERNAL;
}

err_t db_note_error(db *self, const PGresult *result) {
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (!state) return db_note_broken(self, result ? PQresultErrorMessage(result) : PQerrorMessage(self->pg));
    keep_text(self->sqlstate, sizeof self->sqlstate, state);
    keep_text(self->constraint, sizeof self->constraint, PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME));
    keep_text(self->error_text, sizeof self->error_text, PQresultErrorMessage(result));
    err_t err = err_of_sqlstate(state);
    // The plan of a prepared statement no longer fits the schema: a new connection prepares it anew.
    if (strcmp(state, "0A000") == 0) {
        db_break(self);
        err = ERR_UNAVAILABLE;
    }
    if (PQstatus(self->pg) == CONNECTION_BAD) {
        self->is_broken = true;
        err = ERR_UNAVAILABLE;
    }
    if (self->in_tx && !self->tx_err) self->tx_err = err;
    return err;
}

err_t db_note_broken(db *self, const char *why) {
    self->is_broken = true;
    self->sqlstate[0] = self->constraint[0] = '\0';
    keep_text(self->error_text, sizeof self->error_text, why && *why ? why : "the connection is lost");
    for (char *at = self->error_text; *at; at++)
        if (*at == '\n' || *at == '\t') *at = ' ';
    if (self->in_tx && !self->tx_err) self->tx_err = ERR_UNAVAILABLE;
    return ERR_UNAVAILABLE;
}

void db_bug(const db_statement *statement, const char *what, int64_t detail) {
    char text[300];
    snprintf(text, sizeof text, "statement %s: %s (%lld)", statement ? statement->name : "?", what, (long long)detail);
    BUG(text);
}
