// How readings move a usage point: judged, cut where holder or tariff changes, rated, and tiled without gap.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "charging/point.h"

#define START 1709222400000LL  // 2024-03-01T00:00:00+08:00
#define CHANNEL 11

static zone *shanghai;

typedef struct fixture {
    charging_installation installations[2];
    charging_holder holders[2];
    charging_version versions[2];
    charging_setup setup;
    tariff *tariffs[2];
    charging_point point;
    charging_outcome outcome;
} fixture;

// One price for all, in micro-units per kWh; months of tiers when `upper` is not 0.
static tariff *single_price(uint64_t version, int64_t price, int64_t upper_milli, int64_t second_price) {
    tariff_line line = {.name = SV("energy"), .kind = LINE_KIND_QUANTITY, .price_count = {upper_milli ? 2 : 1}};
    line.price_micro[0][0] = price;
    line.price_micro[0][1] = second_price;
    tariff_spec spec = {.version = version,
                        .code = SV("t"),
                        .utility = UTILITY_ELECTRICITY,
                        .unit = SV("kWh"),
                        .currency = CURRENCY_CNY,
                        .effective_from = 0,
                        .zone = shanghai,
                        .has_tiers = upper_milli != 0,
                        .over = {.kind = WINDOW_MONTH},
                        .upper_count = upper_milli ? 1 : 0,
                        .upper_milli = {upper_milli},
                        .line_count = 1,
                        .lines = &line,
                        .rounding = ROUNDING_HALF_UP,
                        .rounding_scale = 2};
    tariff *made = NULL;
    fault why = {0};
    if (tariff_new(&spec, TARIFF_FOR_CHARGING, &made, &why)) fail_msg("%s: %s", why.place, why.reason);
    return made;
}

static void setup_with(fixture *f, size_t version_count, size_t holder_count) {
    f->setup = (charging_setup){.company = 1,
                                .usage_point = 5,
                                .property = 2,
                                .legal_entity = 9,
                                .item = PURPOSE_ELECTRICITY,
                                .currency = CURRENCY_CNY,
                                .zone = shanghai,
                                .installation_count = 1,
                                .installations = f->installations,
                                .holder_count = holder_count,
                                .holders = f->holders,
                                .version_count = version_count,
                                .versions = f->versions};
    f->installations[0] = (charging_installation){.channel = CHANNEL,
                                                  .from = START,
                                                  .to = INSTANT_MAX,
                                                  .opening_value = 100000,
                                                  .closing_value = -1,
                                                  .ratio_num = 1,
                                                  .ratio_den = 1,
                                                  .limits = {.max_per_hour = 100000, .range = 1000000000, .resolution = 10}};
    f->holders[0] = (charging_holder){.account = 7, .purse = 8, .from = START, .to = INSTANT_MAX};
    f->versions[0] = (charging_version){.from = 0, .num = 1, .tariff = f->tariffs[0]};
    charging_point_init(&f->point);
}

static int make(void **state) {
    fixture *f = mem_new(1, sizeof *f);
    f->tariffs[0] = single_price(1, 500000, 0, 0);
    f->tariffs[1] = single_price(2, 1000000, 0, 0);
    setup_with(f, 1, 1);
    *state = f;
    return 0;
}

static int drop(void **state) {
    fixture *f = *state;
    tariff_free(f->tariffs[0]);
    tariff_free(f->tariffs[1]);
    charging_outcome_done(&f->outcome);
    mem_free(f);
    return 0;
}

static charging_answer poll_at(fixture *f, instant_ms at, int64_t value) {
    charging_poll poll = {.channel = CHANNEL, .at = at, .value = value};
    return charging_apply(&f->setup, NULL, &f->point, &poll, &f->outcome);
}

static void the_first_reading_is_charged_from_the_opening_value(void **state) {
    fixture *f = *state;
    assert_int_equal(poll_at(f, START + HOUR_MS, 102000), CHARGING_CHARGED);
    assert_int_equal(f->outcome.pieces.len, 1);
    const charging_piece *piece = &f->outcome.pieces.items[0];
    assert_true(piece->from_at == START && piece->to_at == START + HOUR_MS);
    assert_true(piece->from_value == 100000 && piece->to_value == 102000);
    assert_true(piece->quantity == 2000 && piece->amount == 1000000);
    assert_true(piece->account == 7 && piece->purse == 8 && piece->version_num == 1);
    assert_true(f->point.charged_total == 1000000);
}

static void what_is_not_charged_changes_nothing(void **state) {
    fixture *f = *state;
    assert_int_equal(poll_at(f, START + HOUR_MS, 102000), CHARGING_CHARGED);
    charging_point before = f->point;
    f->outcome.pieces.len = 0;
    static const struct {
        instant_ms after;
        int64_t value;
        charging_answer answer;
    } ROWS[] = {
        {HOUR_MS, 102000, CHARGING_IGNORED},         {HOUR_MS, 102010, CHARGING_REFUSED},        {2 * HOUR_MS, 101990, CHARGING_IGNORED},
        {2 * HOUR_MS, 90000, CHARGING_REFUSED},      {2 * HOUR_MS, 5000000, CHARGING_REFUSED},   {HOUR_MS / 2, 101000, CHARGING_LATE},
        {2 * HOUR_MS, 1000000000, CHARGING_REFUSED}, {-HOUR_MS, 101000, CHARGING_NOT_INSTALLED},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        assert_int_equal(poll_at(f, START + ROWS[i].after, ROWS[i].value), ROWS[i].answer);
        assert_true(charging_point_equal(&before, &f->point));
        assert_int_equal(f->outcome.pieces.len, 0);
    }
    charging_poll suspect = {.channel = CHANNEL, .at = START + 2 * HOUR_MS, .value = 103000, .quality = QUALITY_SUSPECT};
    assert_int_equal(charging_apply(&f->setup, NULL, &f->point, &suspect, &f->outcome), CHARGING_SUSPECT);
    charging_poll foreign = {.channel = 99, .at = START + 2 * HOUR_MS, .value = 103000};
    assert_int_equal(charging_apply(&f->setup, NULL, &f->point, &foreign, &f->outcome), CHARGING_NOT_INSTALLED);
    assert_true(charging_point_equal(&before, &f->point));
}

static void an_interval_is_cut_where_the_tariff_changes(void **state) {
    fixture *f = *state;
    setup_with(f, 2, 1);
    f->versions[1] = (charging_version){.from = START + HOUR_MS / 4, .num = 2, .tariff = f->tariffs[1]};
    assert_int_equal(poll_at(f, START + HOUR_MS, 104000), CHARGING_CHARGED);
    assert_int_equal(f->outcome.pieces.len, 2);
    const charging_piece *pieces = f->outcome.pieces.items;
    assert_true(pieces[0].quantity == 1000 && pieces[0].amount == 500000 && pieces[0].version_num == 1);
    assert_true(pieces[1].quantity == 3000 && pieces[1].amount == 3000000 && pieces[1].version_num == 2);
    assert_true(pieces[0].to_value == pieces[1].from_value && pieces[0].to_at == pieces[1].from_at);
    assert_false(charging_piece_join(&f->outcome.pieces.items[0], &pieces[1]));
}

static void a_new_holder_starts_at_zero_and_pays_his_part_only(void **state) {
    fixture *f = *state;
    setup_with(f, 1, 2);
    f->holders[0].to = START + HOUR_MS / 2;
    f->holders[1] = (charging_holder){.account = 17, .purse = 18, .from = START + HOUR_MS * 3 / 4, .to = INSTANT_MAX};
    assert_int_equal(poll_at(f, START + HOUR_MS, 104000), CHARGING_CHARGED);
    assert_int_equal(f->outcome.pieces.len, 3);
    const charging_piece *pieces = f->outcome.pieces.items;
    assert_true(pieces[0].account == 7 && pieces[0].quantity == 2000 && pieces[0].amount == 1000000);
    assert_true(pieces[1].account == 0 && pieces[1].quantity == 1000 && pieces[1].amount == 0);
    assert_true(pieces[2].account == 17 && pieces[2].quantity == 1000 && pieces[2].amount == 500000);
    assert_true(f->point.account == 17 && f->point.charged_total == 500000);
}

static void a_point_without_a_tariff_stops_unless_nobody_holds_it(void **state) {
    fixture *f = *state;
    setup_with(f, 0, 1);
    assert_int_equal(poll_at(f, START + HOUR_MS, 101000), CHARGING_NO_TARIFF);
    assert_true(f->point.channel == 0);
    setup_with(f, 0, 0);
    assert_int_equal(poll_at(f, START + HOUR_MS, 101000), CHARGING_CHARGED);
    assert_true(f->outcome.pieces.items[0].amount == 0);
}

static void a_rollover_raises_the_epoch_and_charges_over_the_end(void **state) {
    fixture *f = *state;
    f->installations[0].opening_value = 999999000;
    assert_int_equal(poll_at(f, START + HOUR_MS, 500), CHARGING_CHARGED);
    assert_int_equal(f->outcome.verdict, VERDICT_ROLLOVER);
    assert_int_equal(f->point.epoch, 1);
    assert_true(f->outcome.pieces.items[0].quantity == 1500);
    assert_int_equal(f->outcome.pieces.items[0].epoch, 1);
    assert_int_equal(poll_at(f, START + 2 * HOUR_MS, 2500), CHARGING_CHARGED);
    assert_true(f->point.charged_total == 500000 * 35 / 10);
}

static void a_replaced_meter_is_charged_to_its_end_and_the_new_one_from_its_beginning(void **state) {
    fixture *f = *state;
    f->setup.installation_count = 2;
    f->installations[0].to = START + 2 * HOUR_MS;
    f->installations[0].closing_value = 103000;
    f->installations[1] = f->installations[0];
    f->installations[1].channel = 12;
    f->installations[1].from = START + 2 * HOUR_MS;
    f->installations[1].to = INSTANT_MAX;
    f->installations[1].opening_value = 40;
    f->installations[1].closing_value = -1;
    assert_int_equal(poll_at(f, START + HOUR_MS, 101000), CHARGING_CHARGED);
    charging_poll poll = {.channel = 12, .at = START + 3 * HOUR_MS, .value = 1040};
    assert_int_equal(charging_apply(&f->setup, NULL, &f->point, &poll, &f->outcome), CHARGING_CHARGED);
    assert_int_equal(f->outcome.pieces.len, 3);
    const charging_piece *pieces = f->outcome.pieces.items;
    assert_true(pieces[1].channel == CHANNEL && pieces[1].quantity == 2000 && pieces[1].to_value == 103000);
    assert_true(pieces[2].channel == 12 && pieces[2].from_value == 40 && pieces[2].quantity == 1000);
    assert_true(f->point.charged_total == 4 * 500000);
}

static void a_ratio_never_loses_a_remainder(void **state) {
    fixture *f = *state;
    f->installations[0].ratio_num = 1000;
    f->installations[0].ratio_den = 3;
    f->installations[0].opening_value = 0;
    f->installations[0].limits.max_per_hour = 0;
    for (int i = 1; i <= 300; i++) assert_int_equal(poll_at(f, START + i * MINUTE_MS, i * 10), CHARGING_CHARGED);
    assert_true(f->point.quantity_total == 1000000);
}

static void period_registers_win_over_time(void **state) {
    fixture *f = *state;
    tariff_line line = {.name = SV("energy"), .kind = LINE_KIND_QUANTITY, .price_count = {1, 1}};
    line.price_micro[0][0] = 2000000;
    line.price_micro[1][0] = 1000000;
    const tariff_band bands[] = {{480, 1200, 0}, {1200, 480, 1}};
    const tariff_row row = {{1, 1}, {12, 31}, 0x1FF, -1, 2, bands};
    tariff_spec spec = {.version = 3,
                        .code = SV("tou"),
                        .utility = UTILITY_ELECTRICITY,
                        .unit = SV("kWh"),
                        .currency = CURRENCY_CNY,
                        .zone = shanghai,
                        .period_count = 2,
                        .periods = {SV("peak"), SV("valley")},
                        .row_count = 1,
                        .rows = &row,
                        .line_count = 1,
                        .lines = &line,
                        .rounding = ROUNDING_HALF_UP,
                        .rounding_scale = 2};
    fault why = {0};
    tariff_free(f->tariffs[0]);
    if (tariff_new(&spec, TARIFF_FOR_CHARGING, &f->tariffs[0], &why)) fail_msg("%s: %s", why.place, why.reason);
    f->versions[0].tariff = f->tariffs[0];
    f->installations[0].period_count = 2;
    f->installations[0].periods[0] = SV("peak");
    f->installations[0].periods[1] = SV("valley");
    charging_poll poll = {.channel = CHANNEL, .at = START + HOUR_MS, .value = 101000, .register_count = 2, .registers = {60000, 41000}};
    assert_int_equal(charging_apply(&f->setup, NULL, &f->point, &poll, &f->outcome), CHARGING_CHARGED);
    assert_true(f->outcome.pieces.items[0].amount == 1000000);  // no registers before: by time, midnight to one is valley
    poll =
        (charging_poll){.channel = CHANNEL, .at = START + 2 * HOUR_MS, .value = 104000, .register_count = 2, .registers = {62000, 42000}};
    assert_int_equal(charging_apply(&f->setup, NULL, &f->point, &poll, &f->outcome), CHARGING_CHARGED);
    assert_true(f->outcome.pieces.items[1].amount == 2 * 2000000 + 1 * 1000000);
    poll =
        (charging_poll){.channel = CHANNEL, .at = START + 3 * HOUR_MS, .value = 105000, .register_count = 2, .registers = {65000, 42000}};
    assert_int_equal(charging_apply(&f->setup, NULL, &f->point, &poll, &f->outcome), CHARGING_PERIODS_DIFFER);
}

static void each_month_asks_for_a_checkpoint_that_replays_to_the_same_point(void **state) {
    fixture *f = *state;
    tariff_free(f->tariffs[0]);
    f->tariffs[0] = single_price(1, 488300, 240000, 538300);
    f->versions[0].tariff = f->tariffs[0];
    charging_point checkpoint;
    size_t checkpoints = 0;
    VEC(charging_poll) since = {0};
    int64_t value = 100000;
    uint64_t random = 20240301;
    for (instant_ms at = START + HOUR_MS; at < START + 70 * DAY_MS; at += HOUR_MS) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        value += (int64_t)(random >> 54);
        charging_poll poll = {.channel = CHANNEL, .at = at, .value = value};
        assert_int_equal(charging_apply(&f->setup, NULL, &f->point, &poll, &f->outcome), CHARGING_CHARGED);
        if (f->outcome.asks_checkpoint) {
            checkpoint = f->outcome.before;
            checkpoints++;
            vec_clear(&since);
        }
        vec_push(&since, poll);
    }
    assert_int_equal(checkpoints, 3);
    uint8_t packed[CHARGING_POINT_BYTES_MAX];
    charging_point replayed;
    size_t len = charging_point_pack(&checkpoint, packed);
    assert_int_equal(charging_point_unpack(sv_slice(packed, len), &replayed, NULL), ERR_OK);
    for (size_t i = 0; i < since.len; i++)
        assert_int_equal(charging_apply(&f->setup, NULL, &replayed, &since.items[i], &f->outcome), CHARGING_CHARGED);
    assert_true(charging_point_equal(&replayed, &f->point));
    int64_t sum = 0;
    for (size_t i = 0; i + since.len < f->outcome.pieces.len; i++) sum += f->outcome.pieces.items[i].amount;
    assert_true(sum == f->point.charged_total);
    assert_true(f->point.quantity_total == value - 100000);
    vec_done(&since);
}

static void joined_pieces_are_one_stretch(void **state) {
    fixture *f = *state;
    for (int i = 1; i <= 4; i++) assert_int_equal(poll_at(f, START + i * HOUR_MS, 100000 + i * 1000), CHARGING_CHARGED);
    charging_piece joined = f->outcome.pieces.items[0];
    for (size_t i = 1; i < 4; i++) assert_true(charging_piece_join(&joined, &f->outcome.pieces.items[i]));
    assert_true(joined.from_at == START && joined.to_at == START + 4 * HOUR_MS && joined.quantity == 4000 && joined.amount == 2000000);
}

static void packed_points_are_small_and_broken_ones_refused(void **state) {
    fixture *f = *state;
    assert_int_equal(poll_at(f, START + HOUR_MS, 102000), CHARGING_CHARGED);
    uint8_t packed[CHARGING_POINT_BYTES_MAX];
    size_t len = charging_point_pack(&f->point, packed);
    assert_true(len <= 160);
    charging_point back;
    for (size_t cut = 0; cut < len; cut++) assert_int_not_equal(charging_point_unpack(sv_slice(packed, cut), &back, NULL), ERR_OK);
    assert_int_equal(charging_point_unpack(sv_slice(packed, len), &back, NULL), ERR_OK);
    assert_true(charging_point_equal(&back, &f->point));
}

int main(void) {
    shanghai = zone_new_fixed(SV("Asia/Shanghai"), 28800);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_reading_is_charged_from_the_opening_value, make, drop),
        cmocka_unit_test_setup_teardown(what_is_not_charged_changes_nothing, make, drop),
        cmocka_unit_test_setup_teardown(an_interval_is_cut_where_the_tariff_changes, make, drop),
        cmocka_unit_test_setup_teardown(a_new_holder_starts_at_zero_and_pays_his_part_only, make, drop),
        cmocka_unit_test_setup_teardown(a_point_without_a_tariff_stops_unless_nobody_holds_it, make, drop),
        cmocka_unit_test_setup_teardown(a_rollover_raises_the_epoch_and_charges_over_the_end, make, drop),
        cmocka_unit_test_setup_teardown(a_replaced_meter_is_charged_to_its_end_and_the_new_one_from_its_beginning, make, drop),
        cmocka_unit_test_setup_teardown(a_ratio_never_loses_a_remainder, make, drop),
        cmocka_unit_test_setup_teardown(period_registers_win_over_time, make, drop),
        cmocka_unit_test_setup_teardown(each_month_asks_for_a_checkpoint_that_replays_to_the_same_point, make, drop),
        cmocka_unit_test_setup_teardown(joined_pieces_are_one_stretch, make, drop),
        cmocka_unit_test_setup_teardown(packed_points_are_small_and_broken_ones_refused, make, drop),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    zone_free(shanghai);
    return failed;
}
