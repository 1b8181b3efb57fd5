// The words of explanations: both languages take the same arguments, and an explanation is told in them as it is written.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "contracts/texts.h"
#include "explaining/explaining.h"

static unsigned placeholders(sv pattern) {
    unsigned found = 0;
    for (size_t i = 0; i + 2 < pattern.len; i++)
        if (pattern.ptr[i] == '{' && pattern.ptr[i + 2] == '}') found |= 1u << (pattern.ptr[i + 1] - '0');
    return found;
}

static void languages_take_the_same_arguments(void **state) {
    (void)state;
    for (int key = 0; key < TEXT_COUNT; key++) {
        sv english = text_pattern((text_key)key, LOCALE_EN), chinese = text_pattern((text_key)key, LOCALE_ZH_CN);
        assert_true(english.len > 0 && chinese.len > 0);
        assert_true(sv_is_utf8(chinese));
        assert_int_equal(placeholders(english), placeholders(chinese));
        // Messages to people all take the same nine arguments and use what they need; the others have no hole.
        bool is_message = key >= TEXT_ALERT_ALARM_1_SUBJECT && key <= TEXT_ALERT_LOGIN_CODE_BODY;
        unsigned used = placeholders(english);
        assert_true(is_message ? used < 1u << 9 : (used & (used + 1)) == 0);
    }
}

static void arguments_are_put_in(void **state) {
    (void)state;
    AUTO(buf) out;
    buf_init(&out, 256);
    const sv arguments[] = {SV("1.30"), SV("CNY"), SV("0.14")};
    text_add(&out, TEXT_EXPLAIN_RESULT, LOCALE_ZH_CN, arguments, 3);
    assert_string_equal(buf_cstr(&out), "此前已扣 1.30 CNY，本次扣费 0.14 CNY。");
}

static void locales_are_found_by_language(void **state) {
    (void)state;
    static const struct {
        const char *tag;
        bool is_known;
        text_locale locale;
    } ROWS[] = {{"zh-CN", true, LOCALE_ZH_CN}, {"zh", true, LOCALE_ZH_CN}, {"ZH-tw", true, LOCALE_ZH_CN}, {"en", true, LOCALE_EN},
                {"en-GB", true, LOCALE_EN},    {"de", false, LOCALE_EN},   {"", false, LOCALE_EN},        {"zho", false, LOCALE_EN}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        text_locale found = LOCALE_COUNT;
        assert_int_equal(locale_parse(sv_of(ROWS[i].tag), &found), ROWS[i].is_known);
        if (ROWS[i].is_known) assert_int_equal(found, ROWS[i].locale);
    }
}

// Two cells of a time-of-use matrix with tiers, a tax, and something carried over from an earlier version.
static explanation sample(const zone *east) {
    static explanation_line lines[] = {{.name = {"carried", 7}, .kind = "fixed", .before = {5000000, 6}, .after = {5000000, 6}},
                                       {.name = {"energy", 6},
                                        .kind = "quantity",
                                        .period = {"peak", 4},
                                        .tier = 2,
                                        .has_quantity = true,
                                        .quantity_before = 1000,
                                        .quantity_after = 3500,
                                        .has_price = true,
                                        .price_micro = 617000,
                                        .before = {617000000, 9},
                                        .after = {2159500000, 9}},
                                       {.name = {"VAT", 3},
                                        .kind = "percent",
                                        .has_price = true,
                                        .price_micro = 130000,
                                        .before = {80210000, 9},
                                        .after = {280735000, 9}}};
    static explanation_piece pieces[] = {{1704067200000, 1704069000000, {"peak", 4}, 2, 2500}};
    return (explanation){.charge = 42,
                         .cause = "reading",
                         .from_at = 1704067200000,
                         .to_at = 1704069000000,
                         .booked_at = 1704069001000,
                         .from_value = 1234560,
                         .to_value = 1234810,
                         .quantity = 2500,
                         .amount = 1740000,
                         .currency = "CNY",
                         .unit = "kWh",
                         .ratio_num = 10,
                         .ratio_den = 1,
                         .zone = east,
                         .is_held = true,
                         .tariff_code = {"sh-tou", 6},
                         .tariff_version = 3,
                         .tariff_from = 1704038400000,
                         .window_over = "month",
                         .window = {1704038400000, 1706716800000},
                         .used_before = 1000,
                         .used_after = 3500,
                         .tiers = 3,
                         .line_count = ARRAY_LEN(lines),
                         .lines = lines,
                         .piece_count = ARRAY_LEN(pieces),
                         .pieces = pieces,
                         .unrounded_total = {7440235000, 9},
                         .rounding_mode = "half_up",
                         .rounding_scale = 2,
                         .total = 7440000,
                         .already_charged = 5700000};
}

static void sentences(void **state) {
    (void)state;
    AUTO_ZONE east = zone_new_fixed(SV("east"), 8 * 3600);
    explanation why = sample(east);
    AUTO(buf) out;
    buf_init(&out, 4096);
    explanation_write_text(&why, LOCALE_EN, &out);
    assert_string_equal(
        buf_cstr(&out),
        "The register showed 1234.56 kWh on 2024-01-01 08:00 and 1234.81 kWh on 2024-01-01 08:30; times the ratio 10, 2.5 kWh "
        "were used.\n"
        "It is priced by tariff sh-tou, version 3, in force since 2024-01-01.\n"
        "2024-01-01 08:00 to 2024-01-01 08:30: 2.5 kWh in period peak, tier 2.\n"
        "energy · peak · 2: 2.5 kWh at 0.617 CNY make 1.5425 CNY.\n"
        "VAT: 13 % make 0.200525 CNY.\n"
        "In the tier window that began on 2024-01-01, 1 kWh had been used before and 3.5 kWh with this.\n"
        "All use of the window costs 7.440235 CNY, rounded (half up, 2 decimals) to 7.44 CNY.\n"
        "5.70 CNY were charged before, so 1.74 CNY are charged now.\n");
    buf_clear(&out);
    why.is_correction = true;
    explanation_write_text(&why, LOCALE_ZH_CN, &out);
    assert_non_null(strstr(buf_cstr(&out), "乘以倍率 10，用量 2.5 kWh。\n"));
    assert_non_null(strstr(buf_cstr(&out), "与已扣金额的差额为 1.74 CNY。\n"));
}

static void corrections_and_indices_are_said(void **state) {
    (void)state;
    AUTO_ZONE east = zone_new_fixed(SV("east"), 8 * 3600);
    explanation why = sample(east);
    explanation_index indices[] = {{SV("gd-lv-1kv"), SV("2024-01"), 431200, true}};
    why.is_correction = true;
    why.cause = "recharge";
    why.corrects = (explanation_corrected){41, 1704067200000, 1704069000000, 1704069001000, 1500000, 2};
    why.index_count = 1;
    why.indices = indices;
    AUTO(buf) out;
    buf_init(&out, 8192);
    explanation_write_text(&why, LOCALE_EN, &out);
    assert_non_null(strstr(buf_cstr(&out), "price index gd-lv-1kv, which is provisionally 0.4312 for 2024-01;"));
    assert_non_null(strstr(buf_cstr(&out), "beginning with charge 41, booked 2024-01-01 08:30:01 by version 2.\n"));
    assert_non_null(strstr(buf_cstr(&out), "as it was confirmed; the difference to what was charged is 1.74 CNY.\n"));
    why.is_true_up = true;
    indices[0].is_provisional = false;
    buf_clear(&out);
    explanation_write_text(&why, LOCALE_ZH_CN, &out);
    assert_non_null(strstr(buf_cstr(&out), "gd-lv-1kv：2024-01 为 0.4312。\n"));
    assert_non_null(strstr(buf_cstr(&out), "已扣金额的差额为 1.74 CNY。\n"));
    buf_clear(&out);
    json_writer writer;
    json_writer_init(&writer, &out);
    explanation_write_json(&why, LOCALE_EN, SV("7.42"), &writer);
    assert_non_null(strstr(buf_cstr(&out), "\"corrects\":{\"id\":\"7.41\",\"from\":\"2024-01-01T08:00:00+08:00\""));
    assert_non_null(
        strstr(buf_cstr(&out), "\"indices\":[{\"index\":\"gd-lv-1kv\",\"month\":\"2024-01\",\"value\":\"0.4312\",\"provisional\":false}]"));
}

static void pieces_tell_their_local_times(void **state) {
    (void)state;
    AUTO_ZONE east = zone_new_fixed(SV("east"), 8 * 3600);
    explanation why = sample(east);
    AUTO(buf) out;
    buf_init(&out, 8192);
    json_writer writer;
    json_writer_init(&writer, &out);
    explanation_write_json(&why, LOCALE_EN, SV("7.42"), &writer);
    assert_non_null(strstr(buf_cstr(&out),
                           "\"pieces\":[{\"from\":\"2024-01-01T08:00:00+08:00\",\"to\":\"2024-01-01T08:30:00+08:00\","
                           "\"period\":\"peak\",\"tier\":2,\"quantity\":\"2.5\"}]"));
    assert_non_null(strstr(buf_cstr(&out), "\"used_before\":\"1\",\"used_after\":\"3.5\""));
}

static void what_was_estimated_is_said(void **state) {
    (void)state;
    AUTO_ZONE east = zone_new_fixed(SV("east"), 8 * 3600);
    explanation why = sample(east);
    why.is_estimated = true;
    AUTO(buf) out;
    buf_init(&out, 4096);
    explanation_write_text(&why, LOCALE_EN, &out);
    assert_non_null(strstr(buf_cstr(&out),
                           "Estimated: no readings came from 2024-01-01 08:00 to 2024-01-01 08:30. The quantity is measured; it is "
                           "spread evenly over the time.\n"));
    buf_clear(&out);
    why.has_profile = true;
    explanation_write_text(&why, LOCALE_ZH_CN, &out);
    assert_non_null(strstr(buf_cstr(&out), "按该计量点平时各半小时的用量分摊"));
}

static void the_close_of_a_window_tells_what_was_measured(void **state) {
    (void)state;
    AUTO_ZONE east = zone_new_fixed(SV("east"), 8 * 3600);
    static const struct {
        demand_source source;
        rating_closing closing;
        const char *wanted[3];
        const char *json;
    } ROWS[] = {
        {DEMAND_OF_REGISTER,
         {9250, 30000, 800000},
         {"The meter's own maximum demand in the window is 9.25 kW.\n", "The contracted capacity is 30 kVA.\n",
          "40 kWh of active and 30 kvarh of reactive energy make a power factor of 0.8.\n"},
         "\"closing\":{\"demand_source\":\"register\",\"max_demand_kw\":\"9.25\",\"contracted_kva\":\"30\",\"active_kwh\":\"40\","
         "\"reactive_kvarh\":\"30\",\"power_factor\":\"0.8\"}"},
        {DEMAND_OF_READINGS,
         {8000, 0, 0},
         {"The highest average power between readings at least 15 minutes apart is 8 kW.\n",
          "Reactive energy was not read: there is no "
          "power-factor adjustment.\n",
          "has ended: what is settled at its end is added.\n"},
         "\"demand_source\":\"readings\""},
        {DEMAND_UNKNOWN, {0, 0, 0}, {"No demand was measured in the window.\n", "", ""}, "\"demand_source\":null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        explanation why = sample(east);
        why.is_close = why.has_demand_line = why.has_factor_line = true;
        why.demand_source = ROWS[i].source;
        why.closing = ROWS[i].closing;
        why.active = 40000;
        why.reactive = 30000;
        AUTO(buf) out;
        buf_init(&out, 16384);
        explanation_write_text(&why, LOCALE_EN, &out);
        assert_null(strstr(buf_cstr(&out), "The register showed"));
        for (size_t k = 0; k < 3; k++) assert_non_null(strstr(buf_cstr(&out), ROWS[i].wanted[k]));
        buf_clear(&out);
        json_writer writer;
        json_writer_init(&writer, &out);
        explanation_write_json(&why, LOCALE_EN, SV("7"), &writer);
        assert_non_null(strstr(buf_cstr(&out), ROWS[i].json));
        assert_non_null(strstr(buf_cstr(&out), "\"readings\":null"));
    }
}

static void json(void **state) {
    (void)state;
    AUTO_ZONE east = zone_new_fixed(SV("east"), 8 * 3600);
    explanation why = sample(east);
    AUTO(buf) out;
    buf_init(&out, 16384);
    json_writer writer;
    json_writer_init(&writer, &out);
    explanation_write_json(&why, LOCALE_EN, SV("7.42"), &writer);
    const char *text = buf_cstr(&out);
    assert_false(buf_has_failed(&out));
    assert_non_null(
        strstr(text, "{\"charge\":{\"id\":\"7.42\",\"cause\":\"reading\",\"estimated\":false,\"from\":\"2024-01-01T08:00:00+08:00\""));
    assert_non_null(strstr(text,
                           "{\"name\":\"energy\",\"kind\":\"quantity\",\"period\":\"peak\",\"tier\":2,\"quantity_before\":\"1\","
                           "\"quantity_after\":\"3.5\",\"price\":\"0.617\",\"amount_before\":\"0.617\",\"amount_after\":\"2.1595\","
                           "\"amount\":\"1.5425\"}"));
    assert_non_null(strstr(text, "{\"name\":\"VAT\",\"kind\":\"percent\",\"period\":null,\"tier\":null,\"quantity_before\":null"));
    assert_non_null(strstr(text,
                           "\"unrounded_total\":\"7.440235\",\"rounding\":{\"mode\":\"half_up\",\"scale\":2,\"at\":\"total\"},"
                           "\"total\":\"7.44\",\"already_charged\":\"5.70\"}"));
}

static void nobodys_usage(void **state) {
    (void)state;
    AUTO_ZONE east = zone_new_fixed(SV("east"), 8 * 3600);
    explanation why = sample(east);
    why.is_held = false;
    why.line_count = why.piece_count = 0;
    AUTO(buf) out;
    buf_init(&out, 4096);
    explanation_write_text(&why, LOCALE_EN, &out);
    assert_non_null(strstr(buf_cstr(&out), "nothing is charged.\n"));
    assert_null(strstr(buf_cstr(&out), "tariff"));
    buf_clear(&out);
    json_writer writer;
    json_writer_init(&writer, &out);
    explanation_write_json(&why, LOCALE_EN, SV("42"), &writer);
    assert_non_null(strstr(buf_cstr(&out), "\"tariff\":null,\"window\":null"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(languages_take_the_same_arguments),
        cmocka_unit_test(arguments_are_put_in),
        cmocka_unit_test(locales_are_found_by_language),
        cmocka_unit_test(sentences),
        cmocka_unit_test(corrections_and_indices_are_said),
        cmocka_unit_test(pieces_tell_their_local_times),
        cmocka_unit_test(what_was_estimated_is_said),
        cmocka_unit_test(the_close_of_a_window_tells_what_was_measured),
        cmocka_unit_test(json),
        cmocka_unit_test(nobodys_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
