// penstockctl tariff publish: a new tariff, or the next immutable version of one.
#include <stdio.h>

#include "base/clock.h"
#include "crypto/crypto.h"
#include "ctl_sql.h"
#include "file.h"
#include "json/json_writer.h"
#include "tariff_index_store.h"

#define DETAIL_BYTES_MAX 4096

typedef struct publish_request {
    const char *company;
    const char *file;
    const char *name;  // NULL: the code
    bool retroactive;
} publish_request;

static int publish(const publish_request *request);

int ctl_tariff_publish(int argc, char **argv) {
    publish_request request = {0};
    const ctl_option options[] = {
        {"--company", "CODE", "whose tariff it is", &request.company, NULL},
        {"--file", "T.json", "the tariff document (\"-\": stdin)", &request.file, NULL},
        {"--name", "NAME", "of a new tariff; without it, its code", &request.name, NULL},
        {"--retroactive", NULL, "allow it to take effect in the past, or before the newest version", NULL, &request.retroactive},
        {0}};
    const ctl_usage usage = {"tariff publish", NULL,
                             "Creates the tariff of the document's code, or adds its next version, which never changes again. A later\n"
                             "version keeps utility, currency and time zone. What was charged already stays as it was charged.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (request.company && request.file) return publish(&request);
    ctl_say("tariff publish: --company and --file are needed");
    return CTL_BAD_INPUT;
}

typedef struct publishing {
    db *conn;
    zone_set *zones;
    const price_indices *indices;
    int32_t company;
    const tariff_text *text;
    const publish_request *request;
    tariff_known known;
    sv sha256;
    instant_ms now;
} publishing;

static err_t write_audit(const publishing *self, uuid id, int64_t version) {
    AUTO(buf) detail;
    buf_init(&detail, DETAIL_BYTES_MAX);
    json_writer out;
    json_writer_init(&out, &detail);
    json_open_object(&out);
    json_put_text(&out, "code", self->text->code);
    json_put_integer(&out, "version", version);
    json_put_instant(&out, "effective_from", self->text->effective_from, 0);
    json_put_boolean(&out, "retroactive", self->request->retroactive);
    json_close_object(&out);
    if (buf_has_failed(&detail)) return ERR_TOO_LARGE;
    return db_exec(self->conn, &SQL_TARIFF_AUDIT,
                   DB_PARAMS(DB_I32(self->company), DB_TIME(self->now), DB_CSTR("tariff_publish"), DB_UUID(id), DB_TEXT(buf_view(&detail))),
                   NULL);
}

static err_t write_version(const publishing *self) {
    uuid id = self->known.id;
    int64_t num = self->known.num, version = self->known.version + 1;
    err_t err = ERR_OK;
    AUTO(db_rows) written = {0};
    if (num == 0) {
        AUTO(db_rows) row = {0};
        sv name = self->request->name ? sv_of(self->request->name) : self->text->code;
        id = uuid_v7_now();
        err = db_query_one(
            self->conn, &SQL_TARIFF_INSERT,
            DB_PARAMS(DB_I32(self->company), DB_UUID(id), DB_TEXT(self->text->code), DB_TEXT(name), DB_TEXT(self->text->utility)), &row);
        if (!err) num = db_i64(&row, 0, 0);
    }
    if (!err)
        err = db_query_one(
            self->conn, &SQL_TARIFF_VERSION_INSERT,
            DB_PARAMS(DB_I32(self->company), DB_UUID(uuid_v7_now()), DB_I64(num), DB_I64(version), DB_TIME(self->text->effective_from),
                      DB_TEXT(self->text->json), DB_BYTES(self->sha256), DB_TIME(self->now)),
            &written);
    if (!err) err = index_values_put(self->conn, self->company, db_i64(&written, 0, 0), self->text->document);
    return err ? err : write_audit(self, id, version);
}

// Where the next document of the tariff takes effect.
static err_t find_until(const publishing *self, int64_t num, instant_ms *out_until) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(self->conn, &SQL_TARIFF_INDEX_DOCUMENTS, DB_PARAMS(DB_I32(self->company), DB_I64(num)), &rows);
    *out_until = INSTANT_MAX;
    for (size_t i = rows.len; i > 0 && db_time(&rows, i - 1, 2) > self->text->effective_from; i--) *out_until = db_time(&rows, i - 1, 2);
    return err;
}

// A document with prices by index has a version for each published month since it takes effect.
static err_t write_index_months(const publishing *self, fault *out_fault) {
    if (tariff_document_index_count(self->text->document) == 0) return ERR_OK;
    index_making making = {.conn = self->conn, .zones = self->zones, .indices = self->indices, .now = self->now};
    index_tariff owner = {.company = self->company, .company_code = sv_of(self->request->company), .code = self->text->code};
    index_document document = {.json = self->text->json, .sha256 = self->sha256, .from = self->text->effective_from};
    AUTO(db_rows) row = {0};
    err_t err = db_query_one(self->conn, &SQL_TARIFF_NUM, DB_PARAMS(DB_I32(self->company), DB_TEXT(self->text->code)), &row);
    if (!err) {
        owner.num = db_i64(&row, 0, 0);
        owner.id = db_uuid(&row, 0, 1);
        err = find_until(self, owner.num, &document.until);
    }
    if (err) return fault_set(out_fault, err, "tariff", "%.180s", db_error_text(self->conn));
    int32_t first = tariff_document_index(self->text->document, 0)->month, last = first;
    for (size_t i = 0; i < self->indices->list.len; i++)
        if (self->indices->list.items[i].month > last) last = self->indices->list.items[i].month;
    for (int32_t month = first + 1; month <= last && !err; month++) err = index_version_make(&making, &owner, &document, month, out_fault);
    return err;
}

static int publish(const publish_request *request) {
    AUTO_ARENA memory = arena_new(TARIFF_MEMORY_MAX);
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO(price_indices) indices = {0};
    AUTO(tariff_text) text = {0};
    sv json;
    if (!ctl_file_read(request->file, TARIFF_DOCUMENT_BYTES_MAX, memory, &json)) return CTL_BAD_INPUT;
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/tariff", &conn)) return CTL_NO;
    AUTO(db_tx) tx = {0};
    publishing self = {.conn = conn, .zones = zones, .indices = &indices, .text = &text, .request = request};
    err_t err = db_begin(conn, &tx);
    if (err) return ctl_db_fault(conn, "publishing the tariff", err);
    int end = tariff_company(conn, request->company, true, &self.company);
    if (end != CTL_OK) return end;
    // Under the lock: what is published of an index now, or sees this document.
    err = tariff_indices_load(conn, &indices);
    if (err) return ctl_db_fault(conn, "publishing the tariff", err);
    fault why = {0};
    if (tariff_text_read(json, TARIFF_FOR_CHARGING, zones, &indices, memory, &text, &why)) return ctl_fault(request->file, &why);
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_sha256(text.json, digest);
    self.sha256 = sv_slice(digest, sizeof digest);
    penstock_clock clock = clock_system();
    self.now = clock_now(&clock);
    err = tariff_find(conn, self.company, text.code, self.sha256, memory, &self.known);
    char reason[TARIFF_REASON_MAX];
    if (!err && tariff_is_refused(&self.known, &text, zones, &indices, memory, self.now, request->retroactive, reason)) {
        ctl_say("%s: %s", request->file, reason);
        return CTL_NO;
    }
    if (!err && self.known.num && request->name) {
        ctl_say("--name: the tariff %.*s has its name", SV_ARG(text.code));
        return CTL_BAD_INPUT;
    }
    if (!err) err = write_version(&self);
    if (!err) err = write_index_months(&self, &why);
    if (why.err) return ctl_fault(request->file, &why);
    if (!err) err = db_commit(&tx);
    if (err) return ctl_db_fault(conn, "publishing the tariff", err);
    printf("%.*s version %lld, from %s\n", SV_ARG(text.code), (long long)self.known.version + 1,
           tariff_time(memory, tariff_zone(tariff_document_tariff(text.document)), text.effective_from));
    return CTL_OK;
}
