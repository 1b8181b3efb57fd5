// penstockctl merchant set, list, show: merchant accounts of legal entities with payment channels, configured from files.
#include "merchant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl_sql.h"
#include "database.h"
#include "json/json_writer.h"

#define FILES_MAX (1u << 20)

typedef struct merchant_request {
    const char *company, *legal_entity, *channel, *mode, *merchant, *sub_merchant, *app, *sub_app, *base_url, *standby_url, *minutes,
        *state;
    const char *end_key;
    long long order_life_s;
    uuid entity;
    merchant_key_files files;
} merchant_request;

static int merchant_write(const merchant_request *request, const merchant_keys *keys);

static bool request_check(merchant_request *request) {
    long long minutes = 0;
    if (!request->company || !request->merchant || !request->app)
        ctl_say("merchant set: --company, --merchant and --app are needed");
    else if (strcmp(request->channel, "wechat") != 0)
        ctl_say("--channel: must be wechat");
    else if (strcmp(request->mode, "direct") != 0 && strcmp(request->mode, "partner") != 0)
        ctl_say("--mode: must be direct or partner");
    else if ((strcmp(request->mode, "partner") == 0) != (request->sub_merchant[0] != 0))
        ctl_say("--sub-merchant: partner mode needs it, direct mode has none");
    else if (strcmp(request->state, "active") != 0 && strcmp(request->state, "paused") != 0 && strcmp(request->state, "retired") != 0)
        ctl_say("--state: must be active, paused or retired");
    else if (request->legal_entity && !uuid_parse(sv_of(request->legal_entity), &request->entity))
        ctl_say("--legal-entity: is no id");
    else if (ctl_option_number("--order-minutes", request->minutes, 1, 1440, &minutes)) {
        request->order_life_s = minutes * 60;
        return true;
    }
    return false;
}

int ctl_merchant_set(int argc, char **argv) {
    merchant_request r = {.channel = "wechat",
                          .mode = "direct",
                          .sub_merchant = "",
                          .sub_app = "",
                          .standby_url = "https://api2.mch.weixin.qq.com",
                          .base_url = "https://api.mch.weixin.qq.com",
                          .minutes = "30",
                          .state = "active"};
    const ctl_option options[] = {
        {"--company", "CODE", "whose merchant it is", &r.company, NULL},
        {"--legal-entity", "ID", "who receives the money; not needed where the company has only one", &r.legal_entity, NULL},
        {"--channel", "CHANNEL", "wechat", &r.channel, NULL},
        {"--mode", "MODE", "direct, or partner: under a service provider's contract", &r.mode, NULL},
        {"--merchant", "NUMBER", "the merchant number; in partner mode the service provider's", &r.merchant, NULL},
        {"--sub-merchant", "NUMBER", "in partner mode the company's own merchant number", &r.sub_merchant, NULL},
        {"--app", "ID", "the app id; in partner mode the service provider's", &r.app, NULL},
        {"--sub-app", "ID", "in partner mode the company's own app id, if it has one", &r.sub_app, NULL},
        {"--base-url", "URL", "where the channel's API is; default https://api.mch.weixin.qq.com", &r.base_url, NULL},
        {"--standby-url", "URL", "where else; \"\" for nowhere", &r.standby_url, NULL},
        {"--order-minutes", "N", "how long a customer may pay an order; default 30", &r.minutes, NULL},
        {"--state", "STATE", "active (default; another active one retires), paused or retired", &r.state, NULL},
        {"--private-key", "FILE", "PEM key that signs our requests", &r.files.private_key, NULL},
        {"--certificate", "FILE", "PEM certificate of that key", &r.files.certificate, NULL},
        {"--serial", "SERIAL", "its serial number, where the certificate is not at hand", &r.files.serial, NULL},
        {"--apiv3-key", "FILE", "the 32 bytes that notifications are encrypted with", &r.files.apiv3_key, NULL},
        {"--channel-public-key", "FILE", "PEM public key the channel signs with", &r.files.channel_public_key, NULL},
        {"--channel-key-id", "ID", "its id, PUB_KEY_ID_…", &r.files.channel_key_id, NULL},
        {"--channel-certificate", "FILE", "PEM certificate the channel signs with (older merchants)", &r.files.channel_certificate, NULL},
        {"--end-key", "USE/VERSION", "a key that is not to be used any more, as `merchant show` names it", &r.end_key, NULL},
        {0}};
    const ctl_usage usage = {
        "merchant set", NULL,
        "Makes or changes a merchant and adds keys to it; files (\"-\": stdin) are sealed with PENSTOCK_MASTER_KEY_FILE. A\n"
        "key that is stored already is left, any other becomes its use's newest version; old ones stay valid.",
        options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (!request_check(&r)) return CTL_BAD_INPUT;
    AUTO_ARENA memory = arena_new(FILES_MAX);
    merchant_keys keys;
    if (!merchant_keys_read(&r.files, memory, &keys)) return CTL_BAD_INPUT;
    return merchant_write(&r, &keys);
}

// ---- writing ----

static bool keyring_open(crypto_keyring **out_keyring) {
    const char *path = getenv("PENSTOCK_MASTER_KEY_FILE");
    fault why = {0};
    if (!path || !path[0]) {
        ctl_say("PENSTOCK_MASTER_KEY_FILE is not set: it names the key that seals secrets");
        return false;
    }
    if (crypto_keyring_load(path, out_keyring, &why) == ERR_OK) return true;
    (void)ctl_fault("PENSTOCK_MASTER_KEY_FILE", &why);
    return false;
}

static int find_entity(db *conn, const merchant_request *request, int32_t company, int64_t *out_num) {
    AUTO(db_rows) rows = {0};
    err_t err = db_query(conn, &SQL_MERCHANT_LEGAL_ENTITY,
                         DB_PARAMS(DB_I32(company), request->legal_entity ? DB_UUID(request->entity) : DB_NULL), &rows);
    if (err) return ctl_db_fault(conn, "finding the legal entity", err);
    if (rows.len == 1) {
        *out_num = db_i64(&rows, 0, 0);
        return CTL_OK;
    }
    ctl_say(rows.len == 0 ? "--legal-entity: there is none such in this company" : "--legal-entity: the company has several; name one");
    return CTL_BAD_INPUT;
}

static err_t upsert(db *conn, const merchant_request *r, int64_t entity, merchant_row *row) {
    AUTO(db_rows) known = {0};
    AUTO(db_rows) made = {0};
    err_t err = db_query(
        conn, &SQL_MERCHANT_FIND,
        DB_PARAMS(DB_I32(row->company), DB_I64(entity), DB_CSTR(r->channel), DB_CSTR(r->merchant), DB_CSTR(r->sub_merchant)), &known);
    if (err) return err;
    if (known.len == 1) {
        row->num = db_i64(&known, 0, 0);
        row->id = db_uuid(&known, 0, 1);
        return db_exec(conn, &SQL_MERCHANT_UPDATE,
                       DB_PARAMS(DB_I32(row->company), DB_I64(row->num), DB_CSTR(r->mode), DB_CSTR(r->app), DB_CSTR(r->sub_app),
                                 DB_CSTR(r->base_url), DB_CSTR(r->standby_url), DB_I64(r->order_life_s)),
                       NULL);
    }
    row->id = uuid_v7_now();
    err = db_query_one(conn, &SQL_MERCHANT_INSERT,
                       DB_PARAMS(DB_I32(row->company), DB_UUID(row->id), DB_I64(entity), DB_CSTR(r->channel), DB_CSTR(r->mode),
                                 DB_CSTR(r->merchant), DB_CSTR(r->sub_merchant), DB_CSTR(r->app), DB_CSTR(r->sub_app), DB_CSTR(r->base_url),
                                 DB_CSTR(r->standby_url), DB_I64(r->order_life_s), DB_TIME(row->now)),
                       &made);
    if (!err) row->num = db_i64(&made, 0, 0);
    return err;
}

static err_t set_state(db *conn, const merchant_request *r, int64_t entity, const merchant_row *row) {
    err_t err = ERR_OK;
    if (strcmp(r->state, "active") == 0)
        err = db_exec(conn, &SQL_MERCHANT_REPLACE, DB_PARAMS(DB_I32(row->company), DB_I64(entity), DB_CSTR(r->channel), DB_I64(row->num)),
                      NULL);
    return err ? err : db_exec(conn, &SQL_MERCHANT_STATE, DB_PARAMS(DB_I32(row->company), DB_I64(row->num), DB_CSTR(r->state)), NULL);
}

// CTL_OK also when no key is to be ended.
static int end_key(db *conn, const char *which, const merchant_row *row) {
    int64_t version = 0, ended = 0;
    sv rest = sv_of(which), use;
    if (!which) return CTL_OK;
    if (!sv_next(&rest, '/', &use) || !sv_to_i64(rest, &version)) {
        ctl_say("--end-key: a key is named USE/VERSION");
        return CTL_BAD_INPUT;
    }
    err_t err = db_exec(conn, &SQL_MERCHANT_KEY_END,
                        DB_PARAMS(DB_I32(row->company), DB_I64(row->num), DB_TEXT(use), DB_I64(version), DB_TIME(row->now)), &ended);
    if (err) return ctl_db_fault(conn, "ending a key", err);
    if (ended == 1) return CTL_OK;
    ctl_say("--end-key: the merchant has no key %s", which);
    return CTL_BAD_INPUT;
}

static err_t audit(db *conn, const merchant_request *r, const merchant_row *row, int stored) {
    AUTO(buf) text = {.max = 4096};
    json_writer out;
    json_writer_init(&out, &text);
    json_open_object(&out);
    json_put_text(&out, "channel", sv_of(r->channel));
    json_put_text(&out, "merchant", sv_of(r->merchant));
    json_put_text(&out, "sub_merchant", sv_of(r->sub_merchant));
    json_put_text(&out, "state", sv_of(r->state));
    json_put_integer(&out, "new_keys", stored);
    json_close_object(&out);
    return db_exec(conn, &SQL_MERCHANT_AUDIT,
                   DB_PARAMS(DB_I32(row->company), DB_TIME(row->now), DB_CSTR("merchant_set"), DB_UUID(row->id), DB_TEXT(buf_view(&text))),
                   NULL);
}

static int merchant_write(const merchant_request *request, const merchant_keys *keys) {
    AUTO_KEYRING keyring = NULL;
    AUTO_DB conn = NULL;
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) company = {0};
    penstock_clock clock = clock_system();
    merchant_row row = {.now = clock_now(&clock)};
    int64_t entity = 0;
    int stored = 0;
    if (!keyring_open(&keyring)) return CTL_BAD_INPUT;
    if (!ctl_db_open("penstockctl/merchant", &conn)) return CTL_NO;
    err_t err = db_begin(conn, &tx);
    if (!err) err = db_query(conn, &SQL_VERIFY_COMPANY, DB_PARAMS(DB_CSTR(request->company)), &company);
    if (err) return ctl_db_fault(conn, "finding the company", err);
    if (company.len == 0) {
        ctl_say("--company: there is no company '%s'", request->company);
        return CTL_BAD_INPUT;
    }
    row.company = (int32_t)db_i64(&company, 0, 0);
    int end = find_entity(conn, request, row.company, &entity);
    if (end != CTL_OK) return end;
    err = upsert(conn, request, entity, &row);
    if (!err) err = merchant_keys_store(conn, keyring, &row, keys, &stored);
    if (!err) err = set_state(conn, request, entity, &row);
    if (err) return ctl_db_fault(conn, "setting the merchant", err);
    end = end_key(conn, request->end_key, &row);
    if (end != CTL_OK) return end;
    err = audit(conn, request, &row, stored);
    if (!err) err = db_commit(&tx);
    if (err) return ctl_db_fault(conn, "setting the merchant", err);
    char id[UUID_TEXT_LEN + 1];
    uuid_format(row.id, id);
    printf("merchant       %s  %s  %d new keys\nnotifications  /notify/%s/%s\n", id, request->state, stored, request->channel, id);
    return CTL_OK;
}
