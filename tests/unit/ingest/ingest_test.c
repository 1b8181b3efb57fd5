// The parts of ingest that need no server: the table, the body of a push, sources, booking times, presence.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/id.h"
#include "base/mem.h"
#include "line_order.h"
#include "links/booking.h"
#include "links/source.h"
#include "metering/register.h"
#include "presence.h"
#include "push_body.h"
#include "quota.h"
#include "refusal.h"
#include "table.h"

// ---- table ----

typedef struct entry {
    uint64_t key;
    bool is_in;
} entry;

static bool key_equal(const void *item, const void *key) { return ((const entry *)item)->key == *(const uint64_t *)key; }

// Few distinct hashes, so that long runs and removed places are met.
static uint64_t poor_hash(uint64_t key) { return key % 7; }

static void the_table_agrees_with_a_list(void **state) {
    (void)state;
    static entry entries[300];
    table t = {0};
    uint64_t seed = 0;
    random_fill(&seed, sizeof seed);
    seed |= 1;
    print_message("# table seed %llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) entries[i] = (entry){i * 3, false};
    for (int step = 0; step < 20000; step++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        entry *e = &entries[seed % ARRAY_LEN(entries)];
        if (e->is_in)
            table_remove(&t, poor_hash(e->key), e);
        else
            table_add(&t, poor_hash(e->key), e);
        e->is_in = !e->is_in;
        entry *probe = &entries[(seed >> 20) % ARRAY_LEN(entries)];
        void *found = table_find(&t, poor_hash(probe->key), key_equal, &probe->key);
        assert_ptr_equal(found, probe->is_in ? probe : NULL);
    }
    size_t in = 0;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) in += entries[i].is_in;
    assert_int_equal(t.len, in);
    assert_true(t.capacity < 2048);
    table_done(&t);
    assert_null(table_find(&t, 1, key_equal, &(uint64_t){3}));
    table_remove(&t, 1, &entries[0]);
}

// ---- the body of a push ----

static void a_body_is_read_reading_by_reading(void **state) {
    (void)state;
    static const char TEXT[] =
        "{\"readings\":["
        "{\"meter\":\"123456789012\",\"register\":\"active_energy_total\",\"value\":\"1234.56\",\"unit\":\"kWh\",\"read_at\":\"2026-11-"
        "20T08:00:00+08:00\"},"
        "{\"meter\":\"1\",\"port\":2,\"channel\":36,\"register\":\"voltage_a\",\"value\":230,\"unit\":\"V\",\"read_at\":\"2026-11-20T00:00:"
        "00.250Z\"},"
        "{\"meter\":\"\",\"register\":\"voltage_a\",\"value\":\"1\",\"unit\":\"V\",\"read_at\":\"2026-11-20T00:00:00Z\"},"
        "{\"meter\":\"1\",\"register\":\"voltage_a\",\"value\":\"1\",\"unit\":\"V\",\"read_at\":\"yesterday\"},"
        "7]}";
    arena *memory = arena_new(1 << 20);
    AUTO_JSON doc = NULL;
    push_reading *readings = NULL;
    size_t count = 0;
    fault why = {0};
    assert_int_equal(push_body_parse(sv_of(TEXT), 1 << 20, memory, &doc, &readings, &count, &why), ERR_OK);
    assert_int_equal(count, 5);
    assert_false(readings[0].is_refused);
    assert_true(sv_equal(readings[0].meter, SV("123456789012")));
    assert_true(readings[0].port == 1 && readings[0].channel == 1 && readings[0].value == 1234560);
    assert_true(readings[0].read_at == 1795132800000);
    assert_false(readings[1].is_refused);
    assert_true(readings[1].port == 2 && readings[1].channel == 36 && readings[1].value == 230000);
    assert_true(readings[1].read_at == 1795132800250);
    assert_true(readings[2].is_refused && readings[2].reason == REFUSAL_MALFORMED);
    assert_string_equal(readings[2].place, "/readings/2/meter");
    assert_true(readings[3].is_refused && readings[3].reason == REFUSAL_BAD_TIME);
    assert_true(readings[4].is_refused && readings[4].reason == REFUSAL_MALFORMED);
    arena_free(memory);
}

static void refusals_have_distinct_texts(void **state) {
    (void)state;
    for (int a = 0; a < REFUSAL_COUNT; a++) {
        assert_true(refusal_meaning((refusal_reason)a)[0] != '\0');
        for (int b = 0; b < a; b++) assert_string_not_equal(refusal_text((refusal_reason)a), refusal_text((refusal_reason)b));
    }
}

// ---- sources ----

static void sources_are_matched_by_network(void **state) {
    (void)state;
    static const struct {
        const char *networks, *address;
        bool is_allowed;
    } ROWS[] = {
        {"", "1.2.3.4", true},
        {"1.2.3.4", "1.2.3.4", true},
        {"1.2.3.4", "1.2.3.5", false},
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.0.0.0/8,192.168.4.0/22", "192.168.7.255", true},
        {"10.0.0.0/8,192.168.4.0/22", "192.168.8.0", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "::1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"10.0.0.0/33", "10.0.0.0", false},
        {"10.0.0.0/x", "10.0.0.0", false},
        {"nonsense", "10.0.0.0", false},
        {"10.0.0.0/8", "unknown", false},
        {"10.0.0.0/8", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        if (source_is_allowed(sv_of(ROWS[i].networks), sv_of(ROWS[i].address)) != ROWS[i].is_allowed)
            fail_msg("%s in \"%s\"", ROWS[i].address, ROWS[i].networks);
}

// ---- booking ----

static void a_wrong_clock_is_booked_at_receipt(void **state) {
    (void)state;
    const instant_ms now = 1795132800000;
    static const struct {
        int64_t age_ms;
        bool is_own;
        uint16_t flags;
    } ROWS[] = {
        {0, true, 0},
        {5 * MINUTE_MS, true, 0},
        {5 * MINUTE_MS + 1, true, READING_HISTORY},
        {35 * DAY_MS, true, READING_HISTORY},
        {35 * DAY_MS + 1, false, READING_RECEIPT_TIME | READING_CLOCK_OFF},
        {-5 * MINUTE_MS, true, 0},
        {-5 * MINUTE_MS - 1, false, READING_RECEIPT_TIME | READING_CLOCK_OFF},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        uint16_t flags = READING_PUSHED;
        instant_ms at = booking_time(now - ROWS[i].age_ms, now, &flags);
        assert_true(at == (ROWS[i].is_own ? now - ROWS[i].age_ms : now));
        assert_int_equal(flags, READING_PUSHED | ROWS[i].flags);
    }
}

// ---- presence ----

static last_value value_of(int64_t channel, int64_t value, instant_ms at) {
    return (last_value){.channel = channel, .value = value, .read_at = at, .received_at = at, .company = 1};
}

static size_t taken(presence *self, last_value *out_first) {
    value_list list = {0};
    presence_take_values(self, 100, &list);
    size_t count = list.len;
    if (count) *out_first = list.items[0];
    vec_done(&list);
    return count;
}

static void values_are_written_on_change_or_each_five_minutes(void **state) {
    (void)state;
    presence *self = presence_new();
    last_value seen = {0};
    const instant_ms t = 1795132800000;
    presence_value(self, &(last_value){.channel = 1, .value = 10, .read_at = t, .received_at = t, .company = 1});
    assert_int_equal(taken(self, &seen), 1);
    assert_true(seen.value == 10);
    last_value same = value_of(1, 10, t + 1000);
    presence_value(self, &same);
    assert_int_equal(taken(self, &seen), 0);
    last_value changed = value_of(1, 11, t + 2000);
    last_value changed_again = value_of(1, 12, t + 3000);
    presence_value(self, &changed);
    presence_value(self, &changed_again);
    assert_int_equal(taken(self, &seen), 1);
    assert_true(seen.value == 12);
    last_value older = value_of(1, 5, t + 1);
    presence_value(self, &older);
    assert_int_equal(taken(self, &seen), 0);
    last_value late = value_of(1, 12, t + 3000 + VALUE_REPEAT_MS);
    presence_value(self, &late);
    assert_int_equal(taken(self, &seen), 1);
    presence_free(self);
}

static void what_could_not_be_written_waits_again(void **state) {
    (void)state;
    presence *self = presence_new();
    const instant_ms t = 1795132800000;
    for (int64_t c = 1; c <= 10; c++) {
        last_value v = value_of(c, c, t);
        presence_value(self, &v);
    }
    value_list list = {0};
    presence_take_values(self, 4, &list);
    assert_int_equal(list.len, 4);
    presence_give_back_values(self, &list);
    vec_clear(&list);
    presence_take_values(self, 100, &list);
    assert_int_equal(list.len, 10);
    vec_done(&list);
    presence_free(self);
}

static void contacts_are_written_once_in_a_while(void **state) {
    (void)state;
    presence *self = presence_new();
    registry_meter meter = {.num = 1, .contact.write_every_ms = CONTACT_WRITE_MS};
    const instant_ms t = 1795132800000;
    meter_list list = {0};
    instant_list at = {0};
    presence_meter_heard(self, &meter, t);
    presence_meter_heard(self, &meter, t + 1);
    presence_take_meters(self, 100, &list, &at);
    assert_int_equal(list.len, 1);
    assert_true(at.items[0] == t + 1);
    presence_meter_heard(self, &meter, t + 2);
    vec_clear(&list);
    presence_take_meters(self, 100, &list, &at);
    assert_int_equal(list.len, 0);
    presence_mark_lost(self, &meter.contact, true);
    presence_meter_heard(self, &meter, t + 3);
    presence_take_meters(self, 100, &list, &at);
    assert_int_equal(list.len, 1);
    presence_mark_lost(self, &meter.contact, false);
    presence_give_back_meters(self, &list);
    vec_clear(&list);
    presence_take_meters(self, 100, &list, &at);
    assert_int_equal(list.len, 1);
    presence_meter_heard(self, &meter, t + 3 + CONTACT_WRITE_MS);
    vec_clear(&list);
    presence_take_meters(self, 100, &list, &at);
    assert_int_equal(list.len, 1);
    vec_done(&list);
    vec_done(&at);
    presence_free(self);
}

// ---- orders ----

static void parameters_become_the_counts_of_the_protocol(void **state) {
    (void)state;
    static const char JSON[] =
        "{\"overload_w\":3500,\"overload_recoveries\":3,\"malicious_w\":800,\"alarm_1_micro\":50000000,\"alarm_2_micro\":20010000,"
        "\"schedule\":[{\"at\":\"08:00\",\"do\":\"on\"},{\"at\":\"22:30\",\"do\":\"off\"}]}";
    static const struct {
        uint32_t data_id;
        int64_t count;
        dlt645_slot slot;
    } ITEMS[] = {
        {0x04090B01, 35000, {0}},
        {0x04FE0101, 3, {0}},
        {0x04FE0102, 8000, {0}},
        {0x04001001, 5000, {0}},
        {0x04001002, 2001, {0}},
        {0x04FE0201, 0, {DLT645_SLOT_ON, 8, 0}},
        {0x04FE0202, 0, {DLT645_SLOT_OFF, 22, 30}},
        {0x04FE0203, 0, {DLT645_SLOT_UNUSED, 0, 0}},
    };
    line_parameters parameters;
    line_item item;
    fault why;
    if (line_parameters_parse(sv_of(JSON), &parameters, &why)) fail_msg("%s: %s", why.place, why.reason);
    for (size_t i = 0; i < ARRAY_LEN(ITEMS); i++) {
        assert_true(line_parameters_item(&parameters, i, &item));
        assert_int_equal(item.data_id, ITEMS[i].data_id);
        assert_int_equal(item.is_slot, ITEMS[i].data_id >= 0x04FE0201);
        assert_true(item.count == ITEMS[i].count);
        assert_int_equal(item.slot.action, ITEMS[i].slot.action);
        assert_int_equal(item.slot.hour * 60 + item.slot.minute, ITEMS[i].slot.hour * 60 + ITEMS[i].slot.minute);
    }
    assert_true(line_parameters_item(&parameters, 12, &item));
    assert_false(line_parameters_item(&parameters, 13, &item));
}

// Whatever an order may say can be written: the frame is never refused later.
static void accepted_parameters_fit_their_frames(void **state) {
    (void)state;
    static const char *const ROWS[] = {
        "{\"overload_w\":99999}",
        "{\"overload_w\":0}",
        "{\"overload_recoveries\":99}",
        "{\"malicious_w\":99999}",
        "{\"alarm_1_micro\":999999990000}",
        "{\"alarm_2_micro\":10000}",
        "{\"schedule\":[{\"at\":\"23:59\",\"do\":\"off\"}]}",
    };
    const dlt645_writer writer = {.level = 2};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        line_parameters parameters;
        line_item item;
        fault why;
        if (line_parameters_parse(sv_of(ROWS[i]), &parameters, &why)) fail_msg("%s: %s", ROWS[i], why.reason);
        for (size_t n = 0; line_parameters_item(&parameters, n, &item); n++) {
            dlt645_frame frame;
            assert_true(item.is_slot ? dlt645_write_slot(DLT645_WILDCARD, &writer, item.data_id, item.slot, &frame)
                                     : dlt645_write_number(DLT645_WILDCARD, &writer, item.data_id, item.count, &frame));
        }
    }
}

static void wrong_parameters_name_their_place(void **state) {
    (void)state;
    static const struct {
        const char *json, *place;
    } ROWS[] = {
        {"{}", "/"},
        {"{\"overload_w\":100000}", "/overload_w"},
        {"{\"overload_w\":-1}", "/overload_w"},
        {"{\"overload_w\":\"5\"}", "/overload_w"},
        {"{\"alarm_1_micro\":5001}", "/alarm_1_micro"},
        {"{\"overload_recoveries\":100}", "/overload_recoveries"},
        {"{\"volume\":1}", "/volume"},
        {"{\"schedule\":[{\"at\":\"8:00\",\"do\":\"on\"}]}", "/schedule/0/at"},
        {"{\"schedule\":[{\"at\":\"08:60\",\"do\":\"on\"}]}", "/schedule/0/at"},
        {"{\"schedule\":[{\"at\":\"08:00\",\"do\":\"on\"},{\"at\":\"09:00\",\"do\":\"x\"}]}", "/schedule/1/do"},
        {"{\"schedule\":[{\"at\":\"08:00\"}]}", "/schedule/0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        line_parameters parameters;
        fault why = {0};
        if (!line_parameters_parse(sv_of(ROWS[i].json), &parameters, &why)) fail_msg("accepted: %s", ROWS[i].json);
        assert_string_equal(why.place, ROWS[i].place);
    }
}

static void passwords_are_eight_digits(void **state) {
    (void)state;
    uint8_t level = 0;
    uint8_t password[3];
    assert_true(line_password_parse(SV("02112233"), &level, password));
    assert_int_equal(level, 2);
    assert_memory_equal(password, "\x11\x22\x33", 3);
    static const char *const WRONG[] = {"", "0211223", "021122334", "0211223g", "secret!!"};
    for (size_t i = 0; i < ARRAY_LEN(WRONG); i++) assert_false(line_password_parse(sv_of(WRONG[i]), &level, password));
}

static void a_quota_is_shared_by_what_is_offered(void **state) {
    (void)state;
    static const struct {
        int64_t limit, own, others, share;
    } ROWS[] = {
        {2000, 0, 0, 2000},
        {2000, 500, 0, 2000},
        {2000, 500, 1500, 500},
        {2000, 100, 1500, 500},
        {2000, 3000, 0, 2000},
        {2000, 3000, 3000, 1000},
        {2000, 1000, 3000, 500},
        {2000, 0, 9000, 200},
        {2000, 10, 9000, 200},
        {1, 0, 50, 1},
        {INT32_MAX, INT64_MAX, 0, INT32_MAX},
        {5, 3, 3, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        int64_t share = quota_share(ROWS[i].limit, ROWS[i].own, ROWS[i].others);
        if (share != ROWS[i].share) fail_msg("row %zu: %lld", i, (long long)share);
    }
    // Together never more than the quota but for what nobody uses, or the tenth that each keeps.
    for (int64_t own = 0; own < 5000; own += 37) {
        for (int64_t other = 0; other < 5000; other += 41) {
            int64_t unused = 1000 - own - other > 100 ? 1000 - own - other : 100;
            assert_true(quota_share(1000, own, other) + quota_share(1000, other, own) <= 1000 + unused);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_become_the_counts_of_the_protocol),
        cmocka_unit_test(accepted_parameters_fit_their_frames),
        cmocka_unit_test(wrong_parameters_name_their_place),
        cmocka_unit_test(passwords_are_eight_digits),
        cmocka_unit_test(a_quota_is_shared_by_what_is_offered),
        cmocka_unit_test(the_table_agrees_with_a_list),
        cmocka_unit_test(a_body_is_read_reading_by_reading),
        cmocka_unit_test(refusals_have_distinct_texts),
        cmocka_unit_test(sources_are_matched_by_network),
        cmocka_unit_test(a_wrong_clock_is_booked_at_receipt),
        cmocka_unit_test(values_are_written_on_change_or_each_five_minutes),
        cmocka_unit_test(what_could_not_be_written_waits_again),
        cmocka_unit_test(contacts_are_written_once_in_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
