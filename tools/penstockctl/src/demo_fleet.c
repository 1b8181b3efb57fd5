// The simulator's configuration: the plan's meters, with the credentials the database holds.
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "ctl_sql.h"
#include "demo_load.h"
#include "json/json_writer.h"

typedef struct credentials {
    const db_rows *rows;
    const crypto_keyring *keyring;
    arena *memory;
    fault *fault;
} credentials;

static const char *environment_or(const char *name, const char *fallback) {
    const char *value = getenv(name);
    return value && value[0] ? value : fallback;
}

static err_t secret_put(const credentials *of, size_t row, json_writer *out) {
    AUTO(buf) secret;
    buf_init(&secret, 4096);
    sv place = demo_gateway_secret_place(of->memory, db_uuid(of->rows, row, 3));
    err_t err = crypto_open(of->keyring, (int32_t)db_i64(of->rows, row, 2), place, db_bytes(of->rows, row, 6), &secret);
    if (err)
        return fault_set(of->fault, err, "PENSTOCK_MASTER_KEY_FILE", "the secret of gateway %.*s was sealed with another key",
                         SV_ARG(db_text(of->rows, row, 1)));
    AUTO(buf) hex;
    buf_init(&hex, 8192);
    buf_add_hex(&hex, secret.ptr, secret.len);
    json_put_text(out, "secret", buf_view(&hex));
    crypto_wipe(secret.ptr, secret.len);
    return ERR_OK;
}

static void meters_put(const demo_plan *plan, const demo_gateway *gateway, json_writer *out) {
    json_key(out, "meters");
    json_open_array(out);
    for (size_t i = 0; i < gateway->unit_count; i++) {
        const demo_unit *unit = &plan->units[gateway->first_unit + i];
        json_open_object(out);
        json_put_text(out, "address", sv_of(unit->address));
        json_put_text(out, "profile", sv_of(fleet_profile_name(unit->load.profile)));
        json_put_integer(out, "start_wh", unit->load.start_wh);
        json_put_integer(out, "phases", unit->phases);
        json_put_text(out, "password", SV(DEMO_METER_PASSWORD));
        json_close_object(out);
    }
    json_close_array(out);
}

static err_t gateway_put(const demo_plan *plan, const demo_gateway *gateway, const credentials *of, json_writer *out) {
    const demo_property *property = &plan->properties[gateway->property];
    sv company = sv_of(plan->companies[property->company].code);
    size_t row = 0;
    while (row < of->rows->len && !(sv_equal(db_text(of->rows, row, 0), company) && sv_equal(db_text(of->rows, row, 1), gateway->name)))
        row++;
    if (row == of->rows->len)
        return fault_set(of->fault, ERR_NOT_FOUND, "gateways", "%.*s of %.*s is not in the database", SV_ARG(gateway->name),
                         SV_ARG(company));
    json_open_object(out);
    json_put_text(out, "kind", gateway->is_push ? SV("http") : SV("dtu"));
    err_t err = ERR_OK;
    if (gateway->is_push) {
        json_put_text(out, "key", db_text(of->rows, row, 5));
        err = secret_put(of, row, out);
        json_put_integer(out, "interval_s", property->poll_interval_s);
    } else {
        json_put_text(out, "registration", db_text(of->rows, row, 4));
        json_put_integer(out, "heartbeat_s", 60);
    }
    if (!err) meters_put(plan, gateway, out);
    json_close_object(out);
    return err;
}

err_t demo_fleet_text(db *conn, const demo_plan *plan, const crypto_keyring *keyring, arena *memory, buf *out, fault *out_fault) {
    AUTO(db_rows) rows = {0};
    sv *codes = DEMO_COLUMN(memory, sv, DEMO_COMPANIES, sv_of(plan->companies[i].code));
    err_t err = db_query(conn, &SQL_DEMO_CREDENTIALS, DB_PARAMS(DB_TEXT_ARRAY(codes, DEMO_COMPANIES)), &rows);
    if (err) return fault_set(out_fault, err, "gateways", "%s", db_error_text(conn));
    credentials of = {&rows, keyring, memory, out_fault};
    json_writer json;
    json_writer_init(&json, out);
    json_open_object(&json);
    json_put_integer(&json, "seed", plan->params.seed);
    json_put_text(&json, "tcp", sv_of(environment_or("PENSTOCK_INGEST_TCP_LISTEN", "127.0.0.1:8645")));
    json_put_text(&json, "http", sv_of(environment_or("PENSTOCK_INGEST_HTTP_LISTEN", "127.0.0.1:8081")));
    json_put_instant(&json, "start_at", plan->start_at, FLEET_UTC_OFFSET_S);
    json_key(&json, "gateways");
    json_open_array(&json);
    for (size_t i = 0; i < plan->gateway_count && !err; i++) err = gateway_put(plan, &plan->gateways[i], &of, &json);
    json_close_array(&json);
    json_close_object(&json);
    buf_add(out, SV("\n"));
    if (!err && buf_has_failed(out)) err = fault_set(out_fault, ERR_TOO_LARGE, "gateways", "the configuration is too large");
    return err;
}
