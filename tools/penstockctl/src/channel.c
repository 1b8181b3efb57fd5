// penstockctl channel set: a company's account with a provider of messages.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "command.h"
#include "crypto/crypto.h"
#include "crypto/secret_box.h"
#include "ctl_sql.h"
#include "database.h"
#include "file.h"
#include "json/json.h"
#include "money/decimal.h"
#include "money/money.h"

#define CONFIG_MAX 65536

typedef struct channel_request {
    const char *company, *channel, *provider, *config, *cost, *cap;
    money_micro cost_micro, cap_micro;
} channel_request;

static bool amount_read(const char *name, const char *text, money_micro *out) {
    if (!text) return true;
    decimal_answer answer = decimal_parse(sv_of(text), MONEY_SCALE, out);
    if (answer == DECIMAL_OK && *out >= 0) return true;
    ctl_say("%s: '%s' is no amount of money", name, text);
    return false;
}

static bool request_check(channel_request *request) {
    static const char *const CHANNELS[] = {"sms", "mail", "wechat", "webhook"};
    bool is_known = false;
    if (!request->company || !request->channel || !request->provider || !request->config) {
        ctl_say("channel set: --company, --channel, --provider and --config are needed");
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(CHANNELS); i++) is_known = is_known || strcmp(request->channel, CHANNELS[i]) == 0;
    if (!is_known) ctl_say("--channel: '%s' is none of sms, mail, wechat, webhook", request->channel);
    return is_known && amount_read("--cost", request->cost, &request->cost_micro) &&
           amount_read("--month-cap", request->cap, &request->cap_micro);
}

static bool config_read(const char *path, arena *memory, sv *out) {
    fault why = {0};
    AUTO_JSON doc = NULL;
    if (!ctl_file_read(path, CONFIG_MAX, memory, out)) return false;
    if (json_parse(*out, (json_limits){CONFIG_MAX, 4}, &doc, &why) == ERR_OK) return true;
    (void)ctl_fault(path, &why);
    return false;
}

static bool seal(int32_t company, uuid id, sv config, buf *out) {
    AUTO_KEYRING keyring = NULL;
    fault why = {0};
    char id_text[UUID_TEXT_LEN + 1];
    char place[80];
    const char *path = getenv("PENSTOCK_MASTER_KEY_FILE");
    if (!path || !path[0]) {
        ctl_say("PENSTOCK_MASTER_KEY_FILE: is not set, and the configuration holds secrets");
        return false;
    }
    if (crypto_keyring_load(path, &keyring, &why)) {
        (void)ctl_fault("PENSTOCK_MASTER_KEY_FILE", &why);
        return false;
    }
    uuid_format(id, id_text);
    (void)snprintf(place, sizeof place, "channel_account/%s/config", id_text);
    crypto_seal(keyring, company, sv_of(place), config, out);
    return true;
}

// A new account takes the place of the one before, whose messages under way keep their receipts' path.
static int channel_write(const channel_request *request, sv config) {
    AUTO_DB conn = NULL;
    AUTO(db_tx) tx = {0};
    AUTO(db_rows) company = {0};
    AUTO(buf) sealed = {0};
    char path[64];
    penstock_clock clock = clock_system();
    uuid id = uuid_v7_now();
    if (!ctl_db_open("penstockctl/channel", &conn)) return CTL_NO;
    err_t err = db_begin(conn, &tx);
    if (!err) err = db_query(conn, &SQL_CHANNEL_COMPANY, DB_PARAMS(DB_CSTR(request->company)), &company);
    if (err) return ctl_db_fault(conn, "setting the channel", err);
    if (company.len == 0) {
        ctl_say("--company: there is no company '%s'", request->company);
        return CTL_BAD_INPUT;
    }
    int32_t num = (int32_t)db_i64(&company, 0, 0);
    buf_init(&sealed, 2 * CONFIG_MAX);
    if (!seal(num, id, config, &sealed)) return CTL_BAD_INPUT;
    crypto_token(24, path);
    instant_ms now = clock_now(&clock);
    err = db_exec(conn, &SQL_CHANNEL_RETIRE, DB_PARAMS(DB_I32(num), DB_CSTR(request->channel), DB_TIME(now)), NULL);
    if (!err)
        err =
            db_exec(conn, &SQL_CHANNEL_ADD,
                    DB_PARAMS(DB_I32(num), DB_UUID(id), DB_CSTR(request->channel), DB_CSTR(request->provider), DB_BYTES(buf_view(&sealed)),
                              DB_CSTR(path), DB_I64(request->cost_micro), request->cap ? DB_I64(request->cap_micro) : DB_NULL),
                    NULL);
    if (!err) err = db_commit(&tx);
    if (err) return ctl_db_fault(conn, "setting the channel", err);
    printf("channel   %s by %s\nreceipts  /receipts/%s\n", request->channel, request->provider, path);
    return CTL_OK;
}

int ctl_channel_set(int argc, char **argv) {
    channel_request request = {0};
    const ctl_option options[] = {
        {"--company", "CODE", "whose account it is", &request.company, NULL},
        {"--channel", "CHANNEL", "sms, mail, wechat or webhook", &request.channel, NULL},
        {"--provider", "NAME", "aliyun, smtp, official_account or standard", &request.provider, NULL},
        {"--config", "FILE", "JSON with what the provider needs (\"-\": stdin); it is kept sealed", &request.config, NULL},
        {"--cost", "AMOUNT", "what one message costs", &request.cost, NULL},
        {"--month-cap", "AMOUNT", "what a month's messages may cost; above, none is sent", &request.cap, NULL},
        {0}};
    const ctl_usage usage = {
        "channel set", NULL,
        "Sets a company's account with a provider of messages, in place of the one before, and prints the path to which the\n"
        "provider pushes receipts. The alerts service checks the configuration when it first uses it.",
        options};
    int end = CTL_OK;
    sv config = SV_NONE;
    AUTO_ARENA memory = arena_new(2 * CONFIG_MAX);
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (!request_check(&request) || !config_read(request.config, memory, &config)) return CTL_BAD_INPUT;
    return channel_write(&request, config);
}
