// libs/bus against a real Redis.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "bus/bus.h"

#define OK(call) assert_int_equal((call), ERR_OK)

static bus *open_one(void) {
    const char *address = getenv("PENSTOCK_REDIS");
    assert_non_null(address);
    bus *self = NULL;
    fault why = {0};
    if (bus_new(address, &self, &why)) fail_msg("%s", why.reason);
    return self;
}

static void addresses_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *address;
        bool ok;
    } ROWS[] = {{"unix:/tmp/x", true},    {"unix:", false},     {"unix:relative", false},
                {"localhost:6379", true}, {"[::1]:6379", true}, {"localhost", false},
                {":6379", false},         {"host:0", false},    {"host:65536", false},
                {"host:x", false},        {"", false}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        bus *self = NULL;
        fault why = {0};
        err_t err = bus_new(ROWS[i].address, &self, &why);
        if (err != (ROWS[i].ok ? ERR_OK : ERR_BAD_INPUT)) fail_msg("%s", ROWS[i].address);
        bus_free(self);
    }
}

static void entries_reach_the_reader(void **state) {
    (void)state;
    AUTO_ARENA memory = arena_new(16u << 20);
    bus *writer = open_one(), *reader = open_one();
    char names[2][BUS_STREAM_MAX];
    for (int i = 0; i < 2; i++) snprintf(names[i], sizeof names[i], "bus-test:%lld:%d", (long long)clock_monotonic_ns(), i);
    const bus_entry missed[] = {{names[0], SV("before")}};
    OK(bus_publish(writer, missed, 1));
    bus_cursor cursors[2];
    for (int i = 0; i < 2; i++) bus_cursor_init(&cursors[i], names[i]);
    bus_messages messages = {0};
    int64_t before = clock_monotonic_ms();
    OK(bus_read(reader, cursors, 2, 100, 60, memory, &messages));
    assert_int_equal(messages.len, 0);
    assert_in_range(clock_monotonic_ms() - before, 50, 1000);
    bus_entry many[700];
    for (size_t i = 0; i < ARRAY_LEN(many); i++) many[i] = (bus_entry){names[i % 2], i % 3 ? SV("a\0b") : SV("")};
    OK(bus_publish(writer, many, ARRAY_LEN(many)));
    size_t got = 0, per_stream[2] = {0};
    while (got < ARRAY_LEN(many)) {
        arena_reset(memory);
        OK(bus_read(reader, cursors, 2, 100, 1000, memory, &messages));
        assert_true(messages.len > 0 && messages.len <= 200);
        for (size_t i = 0; i < messages.len; i++) {
            size_t at = per_stream[messages.items[i].stream]++ * 2 + messages.items[i].stream;
            assert_true(sv_equal(messages.items[i].payload, many[at].payload));
        }
        got += messages.len;
    }
    OK(bus_read(reader, cursors, 2, 100, 0, memory, &messages));
    assert_int_equal(messages.len, 0);
    const char *both[] = {names[0], names[1]};
    OK(bus_trim(writer, both, 2));
    bus_free(writer);
    bus_free(reader);
}

static void a_redis_that_may_evict_is_refused(void **state) {
    (void)state;
    bus *self = open_one();
    fault why = {0};
    OK(bus_check(self, &why));
    bus_free(self);
}

static void an_absent_redis_costs_no_time(void **state) {
    (void)state;
    bus *self = NULL;
    OK(bus_new("unix:/tmp/no-such-redis.sock", &self, NULL));
    const bus_entry entry = {"x", SV("y")};
    assert_int_equal(bus_publish(self, &entry, 1), ERR_UNAVAILABLE);
    assert_true(bus_error_text(self)[0] != '\0');
    int64_t before = clock_monotonic_ms();
    for (int i = 0; i < 1000; i++) assert_int_equal(bus_publish(self, &entry, 1), ERR_UNAVAILABLE);
    assert_true(clock_monotonic_ms() - before < 1500);
    fault why = {0};
    assert_int_equal(bus_check(self, &why), ERR_UNAVAILABLE);
    bus_free(self);
}

// A server of one answer: accepts, waits for bytes, says its line, holds the connection.
typedef struct liar {
    int listener;
    const char *answer;
} liar;

static void *lie(void *argument) {
    liar *self = argument;
    int fd = accept(self->listener, NULL, NULL);
    char bytes[4096];
    if (fd >= 0 && read(fd, bytes, sizeof bytes) > 0 && self->answer[0]) (void)!write(fd, self->answer, strlen(self->answer));
    usleep(1500 * 1000);
    close(fd);
    return NULL;
}

static void odd_answers_break_nobody(void **state) {
    (void)state;
    static const char *const ANSWERS[] = {"-LOADING Redis is loading the dataset in memory\r\n",
                                          "-OOM command not allowed\r\n",
                                          "-NOGROUP no such key\r\n",
                                          "-MISCONF errors writing to the AOF file\r\n",
                                          "garbage\r\n",
                                          ""};
    for (size_t i = 0; i < ARRAY_LEN(ANSWERS); i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "/tmp/bus-liar-%d-%zu.sock", (int)getpid(), i);
        liar self = {.listener = socket(AF_UNIX, SOCK_STREAM, 0), .answer = ANSWERS[i]};
        assert_int_equal(bind(self.listener, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(self.listener, 1), 0);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, lie, &self), 0);
        char name[140];
        snprintf(name, sizeof name, "unix:%s", address.sun_path);
        bus *handle = NULL;
        OK(bus_new(name, &handle, NULL));
        const bus_entry entry = {"x", SV("y")};
        int64_t before = clock_monotonic_ms();
        assert_int_equal(bus_publish(handle, &entry, 1), ERR_UNAVAILABLE);
        assert_true(clock_monotonic_ms() - before < 2 * BUS_COMMAND_TIMEOUT_MS);
        bus_free(handle);
        pthread_join(thread, NULL);
        close(self.listener);
        unlink(address.sun_path);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_checked),
        cmocka_unit_test(entries_reach_the_reader),
        cmocka_unit_test(a_redis_that_may_evict_is_refused),
        cmocka_unit_test(an_absent_redis_costs_no_time),
        cmocka_unit_test(odd_answers_break_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
