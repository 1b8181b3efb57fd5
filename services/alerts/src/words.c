#include "words.h"

#include <stdio.h>

#include "alerts_sql.h"
#include "base/check.h"
#include "json/json.h"
#include "money/money.h"

#define PARAMETERS_MAX 16
#define PARAMETER_LIMITS ((json_limits){65536, 2})

// In the order in which the platform's sentences number them.
static const char *const ORDER[] = {"customer", "room", "purpose", "amount", "time", "detail", "account", "company", "property"};

static err_t read_parameters(sv json, arena *memory, channel_parameter **out_list, size_t *out_count) {
    AUTO_JSON doc = NULL;
    json_reader reader;
    json_reader_init(&reader);
    *out_count = 0;
    err_t err = json_parse(json, PARAMETER_LIMITS, &doc, NULL);
    if (err) return err;
    json_node root = json_root(doc);
    json_node member = {0};
    *out_list = ARENA_ARRAY(memory, channel_parameter, PARAMETERS_MAX);
    while (*out_count < PARAMETERS_MAX && json_next(&reader, &root, &member)) {
        if (json_node_kind(&member) != JSON_KIND_TEXT) continue;
        channel_parameter *next = &(*out_list)[(*out_count)++];
        next->name = arena_copy(memory, sv_of(member.key));
        next->value = arena_copy(memory, json_read_text(&reader, &member));
    }
    return json_reader_fault(&reader, NULL);
}

static sv value_of(const channel_parameter *list, size_t count, sv name) {
    for (size_t i = 0; i < count; i++)
        if (sv_equal(list[i].name, name)) return list[i].value;
    return SV_NONE;
}

// A company's pattern: {name} becomes its value.
static sv fill(sv pattern, const channel_parameter *list, size_t count, arena *memory) {
    AUTO(buf) text;
    buf_init(&text, 8192);
    for (size_t i = 0; i < pattern.len; i++) {
        size_t end = i + 1;
        while (pattern.ptr[i] == '{' && end < pattern.len && pattern.ptr[end] != '}') end++;
        bool is_name = pattern.ptr[i] == '{' && end < pattern.len;
        sv value = is_name ? value_of(list, count, sv_slice(pattern.ptr + i + 1, end - i - 1)) : SV_NONE;
        if (value.ptr == NULL) {
            buf_add_byte(&text, pattern.ptr[i]);
            continue;
        }
        buf_add(&text, value);
        i = end;
    }
    return arena_copy(memory, buf_view(&text));
}

static sv say(text_key key, text_locale in, const sv *arguments, arena *memory) {
    AUTO(buf) text;
    buf_init(&text, 8192);
    text_add(&text, key, in, arguments, ARRAY_LEN(ORDER));
    return arena_copy(memory, buf_view(&text));
}

static sv one_line(sv text, arena *memory) {
    char *copy = ARENA_ARRAY(memory, char, text.len + 1);
    for (size_t i = 0; i < text.len; i++) copy[i] = (unsigned char)text.ptr[i] < ' ' ? ' ' : text.ptr[i];
    return sv_slice(copy, text.len);
}

err_t words_compose(db *conn, int32_t company, alert_kind kind, sv medium, sv locale, sv parameters, arena *memory, message_words *out) {
    channel_parameter *list = NULL;
    size_t count = 0;
    AUTO(db_rows) own = {0};
    const alert_kind_info *info = alert_kind_of(kind);
    err_t err = read_parameters(parameters, memory, &list, &count);
    if (!err)
        err = db_query(conn, &SQL_TEMPLATE_FIND, DB_PARAMS(DB_I32(company), DB_CSTR(info->text), DB_TEXT(medium), DB_TEXT(locale)), &own);
    if (err) return err;
    text_locale in = LOCALE_ZH_CN;
    (void)locale_parse(locale, &in);
    sv arguments[ARRAY_LEN(ORDER)];
    for (size_t i = 0; i < ARRAY_LEN(ORDER); i++) {
        sv value = value_of(list, count, sv_of(ORDER[i]));
        arguments[i] = value.ptr ? value : SV("");
    }
    arguments[2] = words_purpose(arguments[2], locale);
    bool has_own = own.len == 1 && db_text(&own, 0, 1).len > 0;
    out->subject = has_own ? fill(db_text(&own, 0, 0), list, count, memory) : say(info->subject, in, arguments, memory);
    out->body = has_own ? fill(db_text(&own, 0, 1), list, count, memory) : say(info->body, in, arguments, memory);
    out->subject = one_line(out->subject, memory);
    out->provider_template = own.len == 1 ? arena_copy(memory, db_text(&own, 0, 2)) : SV("");
    return ERR_OK;
}

err_t words_parameters(db *conn, int32_t company, sv kind, sv medium, sv locale, sv parameters, arena *memory, channel_parameter **out_list,
                       size_t *out_count, sv *out_provider_template) {
    channel_parameter *all = NULL;
    size_t count = 0;
    AUTO(db_rows) own = {0};
    err_t err = read_parameters(parameters, memory, &all, &count);
    if (!err) err = db_query(conn, &SQL_TEMPLATE_FIND, DB_PARAMS(DB_I32(company), DB_TEXT(kind), DB_TEXT(medium), DB_TEXT(locale)), &own);
    if (err) return err;
    *out_list = all;
    *out_count = count;
    *out_provider_template = own.len == 1 ? arena_copy(memory, db_text(&own, 0, 2)) : SV("");
    if (own.len == 0 || db_text(&own, 0, 3).len == 0) return ERR_OK;
    sv names = arena_copy(memory, db_text(&own, 0, 3));
    sv name = SV_NONE;
    channel_parameter *named = ARENA_ARRAY(memory, channel_parameter, PARAMETERS_MAX);
    *out_count = 0;
    while (*out_count < PARAMETERS_MAX && sv_next(&names, ' ', &name)) {
        sv value = value_of(all, count, name);
        named[(*out_count)++] = (channel_parameter){name, value.ptr ? value : SV("")};
    }
    *out_list = named;
    return ERR_OK;
}

sv words_local_time(const zone *where, instant_ms at, arena *memory) {
    local_time local = zone_local_time(where, at);
    int32_t minute = local.ms_of_day / (int32_t)MINUTE_MS;
    return sv_of(arena_printf(memory, "%04d-%02d-%02d %02d:%02d", local.year, local.month, local.day_of_month, minute / 60, minute % 60));
}

sv words_money(int64_t micro, sv money, arena *memory) {
    char text[DECIMAL_TEXT_MAX];
    size_t len = decimal_format(micro, MONEY_SCALE, 2, text);
    return sv_of(arena_printf(memory, "%.*s %.*s", (int)len, text, SV_ARG(money)));
}

sv words_purpose(sv purpose, sv locale) {
    static const struct {
        const char *text;
        text_key key;
    } WORDS[] = {{"electricity", TEXT_PURPOSE_ELECTRICITY},
                 {"cold_water", TEXT_PURPOSE_COLD_WATER},
                 {"hot_water", TEXT_PURPOSE_HOT_WATER},
                 {"gas", TEXT_PURPOSE_GAS},
                 {"heat", TEXT_PURPOSE_HEAT},
                 {"cooling", TEXT_PURPOSE_COOLING},
                 {"fees", TEXT_PURPOSE_FEES},
                 {"deposit", TEXT_PURPOSE_DEPOSIT}};
    text_locale in = LOCALE_ZH_CN;
    (void)locale_parse(locale, &in);
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++)
        if (sv_equal(purpose, sv_of(WORDS[i].text))) return text_pattern(WORDS[i].key, in);
    return purpose;
}
