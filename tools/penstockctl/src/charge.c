// penstockctl charge explain: the arithmetic of one charge, done again from the stored readings.
#include <stdio.h>

#include "command.h"
#include "database.h"
#include "explaining/explaining.h"

#define MEMORY_MAX (256u << 20)
#define OUT_MAX (4u << 20)

static int explanation_print(const explanation *why, text_locale in, bool is_json, sv id) {
    AUTO(buf) out;
    buf_init(&out, OUT_MAX);
    if (is_json) {
        json_writer json;
        json_writer_init(&json, &out);
        explanation_write_json(why, in, id, &json);
        buf_add_byte(&out, '\n');
    } else {
        explanation_write_text(why, in, &out);
    }
    fwrite(out.ptr, 1, out.len, stdout);
    return CTL_OK;
}

int ctl_charge_explain(int argc, char **argv) {
    const char *language = "en";
    bool is_json = false;
    const ctl_option options[] = {
        {"--lang", "TAG", "zh or en (en)", &language, NULL}, {"--json", NULL, "as the API answers it", NULL, &is_json}, {0}};
    const ctl_usage usage = {"charge explain", "ID",
                             "Explains a charge: both readings, the pieces with their local times, the tariff, prices, rounding and\n"
                             "result. ID is the charge's number.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    long long charge = 0;
    text_locale in = LOCALE_EN;
    if (argc != 1) {
        ctl_say("charge explain: one charge's number is needed");
        return CTL_BAD_INPUT;
    }
    if (!ctl_option_number("ID", argv[0], 1, INT64_MAX, &charge)) return CTL_BAD_INPUT;
    if (!locale_parse(sv_of(language), &in)) {
        ctl_say("--lang: '%s' is neither zh nor en", language);
        return CTL_BAD_INPUT;
    }
    AUTO_DB conn = NULL;
    if (!ctl_db_open("penstockctl/explain", &conn)) return CTL_NO;
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO_ARENA memory = arena_new(MEMORY_MAX);
    AUTO(db_tx) tx = {0};
    explanation *why = NULL;
    fault reason = {0};
    err_t err = db_begin_repeatable(conn, &tx);
    if (!err) err = explain_charge(conn, zones, &(explain_request){.charge = charge}, memory, &why, &reason);
    if (err && !reason.err) return ctl_db_fault(conn, "reading the charge", err);
    if (err) {
        ctl_fault("charge", &reason);
        return CTL_NO;
    }
    return explanation_print(why, in, is_json, sv_of(argv[0]));
}
