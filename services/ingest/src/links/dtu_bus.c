// The master of one serial bus behind a transparent link: which meter is due, what to ask it, one request in flight,
// time-outs, retries, and a pause after a time-out so that a late answer meets nobody's question.
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "links/dtu.h"

#define ANSWER_MS 3000
#define RETRIES 2
#define RETRY_JITTER_MS 200
#define DRAIN_QUIET_MS 300
#define DRAIN_MAX_MS 1500
#define GIVE_UP_AFTER 3   // "no such data" answers until an item is not asked for any more
#define HOPELESS_AFTER 3  // unanswered polls until a meter gets one try instead of three
#define FIRST_SPREAD_MS (60 * SECOND_MS)
#define COST_MS 400  // of a question and its answer at 2 400 Bd

// A poll is these questions in order; energy first, because it alone is charged.
typedef enum step {
    STEP_NUMBER,
    STEP_ENERGY,
    STEP_TOTAL,
    STEP_STATUS_WORDS,
    STEP_STATUS,
    STEP_VOLTAGE,
    STEP_CURRENT,
    STEP_POWER,
    STEP_FACTOR,
    STEP_COUNT
} step;

static const uint32_t STEP_ITEMS[STEP_COUNT] = {0x04000402, 0x0001FF00, 0x00010000, 0x040005FF, 0x04000503,
                                                0x0201FF00, 0x0202FF00, 0x0203FF00, 0x0206FF00};

_Static_assert(STEP_COUNT == DTU_POLL_STEPS, "each step is counted");

static void ask_next(dtu_link *self);
static void start_poll(dtu_link *self, size_t meter, const line_order *order);

// ---- the plan ----

static size_t plan_find(const dtu_link *self, const registry_meter *meter) {
    for (size_t i = 0; i < self->plan.len; i++)
        if (self->plan.items[i].meter == meter) return i;
    return self->plan.len;
}

// What changes with the configuration; under the registry's lock.
static void refresh_meter(dtu_meter *self, const registry_meter *meter) {
    self->channel = registry_channel(meter, 1);
    self->interval_ms = meter->poll_interval_s * SECOND_MS;
    if (strcmp(self->serial, meter->serial) != 0) self->is_checked = self->is_wrong = false;
    sv_copy_truncated(sv_of(meter->serial), self->serial, sizeof self->serial);
}

static void plan_add(dtu_link *self, registry_meter *meter) {
    dtu_meter added = {.meter = meter};
    if (meter->protocol != METER_DLT645 || !dlt645_address_parse(sv_of(meter->bus_address), &added.address)) return;
    refresh_meter(&added, meter);
    int64_t spread_ms = added.interval_ms < FIRST_SPREAD_MS ? added.interval_ms : FIRST_SPREAD_MS;
    added.due_ms = clock_monotonic_ms() + dtu_random_below(spread_ms);
    vec_push(&self->plan, added);
}

static void warn_when_overbooked(const dtu_link *self) {
    int64_t permille = 0;
    for (size_t i = 0; i < self->plan.len; i++) permille += 1000 * STEP_COUNT * COST_MS / self->plan.items[i].interval_ms;
    if (permille > 1000)
        LOG_WARN("a bus has more to answer than fits its time at 2400 Bd; meters will be read less often",
                 LOG_I("gateway", self->gateway->num), LOG_I("load_permille", permille), LOG_I("meters", self->plan.len));
}

// Rebuilt when the gateway's meters changed; those that stay keep their turn.
static void refresh_plan(dtu_link *self) {
    registry *known = self->owner->app->registry;
    registry_read_lock(known);
    const registry_gateway *gateway = self->gateway;
    bool is_new = self->plan_version != gateway->meters_version;
    if (is_new && !self->has_job) {
        for (size_t i = self->plan.len; i-- > 0;)
            if (self->plan.items[i].meter->gateway != gateway) self->plan.items[i] = self->plan.items[--self->plan.len];
        for (size_t i = 0; i < gateway->meters.len && self->plan.len < (size_t)gateway->max_meters; i++) {
            size_t at = plan_find(self, gateway->meters.items[i]);
            if (at == self->plan.len)
                plan_add(self, gateway->meters.items[i]);
            else
                refresh_meter(&self->plan.items[at], gateway->meters.items[i]);
        }
        self->plan_version = gateway->meters_version;
        self->heartbeat_ms = gateway->heartbeat_s * SECOND_MS;
    }
    bool is_disabled = gateway->is_disabled;
    registry_unlock(known);
    if (is_disabled)
        dtu_link_close(self, "the gateway was disabled");
    else if (is_new && !self->has_job)
        warn_when_overbooked(self);
}

// ---- whose turn it is ----

// Of those that are due, one near the end of its credit goes first. Where somebody has waited for a whole interval beyond
// his turn, he has every second one: on a bus with more meters than fit its time everybody is read at last.
static int urgency_of(const dtu_link *self, const dtu_meter *meter, int64_t now_ms) {
    if (now_ms < meter->due_ms) return -1;
    if (self->was_favoured && now_ms - meter->due_ms > meter->interval_ms) return CREDIT_RANKS;
    return credit_rank(self->owner->app->credit, meter->meter);
}

static size_t plan_first(const dtu_link *self) {
    size_t first = self->plan.len;
    int first_urgency = 0;
    int64_t now_ms = clock_monotonic_ms();
    for (size_t i = 0; i < self->plan.len; i++) {
        const dtu_meter *meter = &self->plan.items[i];
        if (!meter->channel) continue;
        int urgency = urgency_of(self, meter, now_ms);
        bool is_before = first == self->plan.len || urgency > first_urgency ||
                         (urgency == first_urgency && meter->due_ms < self->plan.items[first].due_ms);
        if (!is_before) continue;
        first = i;
        first_urgency = urgency;
    }
    return first;
}

// The meter whose turn is first; those that sit this round out, because billing is behind or the company over its quota, have
// had theirs.
static size_t next_in_turn(dtu_link *self) {
    int64_t now_ms = clock_monotonic_ms();
    size_t first = plan_first(self);
    while (first < self->plan.len && self->plan.items[first].due_ms <= now_ms) {
        dtu_meter *meter = &self->plan.items[first];
        uint32_t round = meter->rounds++;
        bool is_skipped = pressure_skips_round(self->owner->app->pressure, round) ||
                          quota_skips_round(self->owner->app->quota, meter->meter->company, round);
        if (!is_skipped) break;
        meter->due_ms = now_ms + meter->interval_ms;
        metric_add(self->owner->count.skipped, 1);
        first = plan_first(self);
    }
    return first;
}

static void take_turn(dtu_link *self) {
    self->bus = BUS_IDLE;
    if (self->state != LINK_UP) return;
    if (self->is_leaving) {
        dtu_link_close(self, "this replica stops");
        return;
    }
    refresh_plan(self);
    if (self->state != LINK_UP || dtu_order_take_turn(self)) return;
    size_t first = next_in_turn(self);
    int64_t now_ms = clock_monotonic_ms();
    int64_t due_ms = first < self->plan.len ? self->plan.items[first].due_ms : now_ms + SECOND_MS;
    if (due_ms <= now_ms) {
        self->was_favoured = credit_rank(self->owner->app->credit, self->plan.items[first].meter) > 0;
        start_poll(self, first, NULL);
        return;
    }
    if (due_ms > now_ms + SECOND_MS) due_ms = now_ms + SECOND_MS;
    if (due_ms > dtu_order_due_ms(self)) due_ms = dtu_order_due_ms(self);
    dtu_after(self->bus_timer, due_ms > now_ms ? due_ms - now_ms : 0);
}

// ---- a poll ----

static bool is_wanted(const dtu_link *self, const dtu_meter *meter, size_t at) {
    if (meter->refused_items[at] >= GIVE_UP_AFTER) return false;
    if (at == STEP_NUMBER) return !meter->is_checked;
    if (at == STEP_TOTAL) return !self->job.has_energy;
    if (at == STEP_ENERGY) return !self->job.has_energy;
    if (at == STEP_STATUS) return !self->job.has_status;
    return !self->job.is_urgent || at == STEP_STATUS_WORDS;
}

void dtu_bus_ask(dtu_link *self, const dlt645_frame *frame) {
    uint8_t bytes[DLT645_PREAMBLE_LEN + DLT645_FRAME_MAX];
    self->asked = *frame;
    bufferevent_write(self->socket, bytes, dlt645_frame_encode(frame, bytes));
    self->bus = BUS_ASKING;
    metric_add(self->owner->count.requests, 1);
    dtu_after(self->bus_timer, ANSWER_MS);
}

void dtu_bus_end_turn(dtu_link *self) {
    self->bus = BUS_IDLE;
    dtu_after(self->bus_timer, 0);  // not from here: many in a row would nest
}

static void send_request(dtu_link *self) {
    dlt645_frame frame = dlt645_read(self->plan.items[self->job.meter].address, STEP_ITEMS[self->job.step]);
    dtu_bus_ask(self, &frame);
}

static void start_poll(dtu_link *self, size_t meter, const line_order *order) {
    self->has_job = true;
    self->job = (dtu_job){.meter = meter, .is_urgent = order != NULL};
    if (order) self->job.order = *order;
    dtu_meter *turn = &self->plan.items[meter];
    int64_t jitter_ms = dtu_random_below(turn->interval_ms / 10 + 1) - turn->interval_ms / 20;
    if (turn->is_wrong) turn->is_checked = false;  // it may have been put right
    if (!order) turn->due_ms = clock_monotonic_ms() + turn->interval_ms + jitter_ms;
    ask_next(self);
}

static void end_poll(dtu_link *self, const char *failure) {
    dtu_meter *meter = &self->plan.items[self->job.meter];
    meter->misses = self->job.was_answered ? 0 : meter->misses + 1;
    if (self->job.is_urgent && failure) {
        line_result result = line_result_of(&self->job.order, LINE_FAILED, failure);
        dispatcher_result(self->owner->app->dispatcher, &result);
    }
    self->has_job = false;
    dtu_bus_end_turn(self);
}

void dtu_bus_read_now(dtu_link *self, size_t meter, const line_order *order) { start_poll(self, meter, order); }

// An ordinary poll makes way for an order, and comes back where its energy is still missing.
static bool makes_way(dtu_link *self) {
    if (self->job.is_urgent || dtu_order_due_ms(self) > clock_monotonic_ms()) return false;
    if (self->job.was_answered && !self->job.has_energy) self->plan.items[self->job.meter].due_ms = clock_monotonic_ms();
    end_poll(self, NULL);
    return true;
}

// The question at or behind the job's step; the end of the poll when there is none.
static void ask_next(dtu_link *self) {
    dtu_meter *meter = &self->plan.items[self->job.meter];
    if (makes_way(self)) return;
    if (meter->is_wrong && meter->is_checked) {
        end_poll(self, "wrong_meter");
        return;
    }
    while (self->job.step < STEP_COUNT && !is_wanted(self, meter, self->job.step)) self->job.step++;
    if (self->job.step == STEP_COUNT) {
        end_poll(self, self->job.has_energy ? NULL : "not_supported");
        return;
    }
    self->job.tries = 0;
    send_request(self);
}

static void next_step(dtu_link *self) {
    self->job.step++;
    ask_next(self);
}

// No answer, or one that cannot be: again, or on without. A meter that said nothing at all has its turn no longer.
static void step_failed(dtu_link *self, const char *failure) {
    const dtu_meter *meter = &self->plan.items[self->job.meter];
    if (makes_way(self)) return;
    int retries = meter->misses >= HOPELESS_AFTER && !self->job.is_urgent ? 0 : RETRIES;
    if (self->job.tries++ < retries)
        send_request(self);
    else if (!self->job.was_answered || self->job.step <= STEP_TOTAL)
        end_poll(self, failure);
    else
        next_step(self);
}

// ---- answers ----

void dtu_bus_take_number(dtu_link *self, dtu_meter *meter, const dlt645_message *message) {
    const dlt645_value *value = &message->values[0];
    bool is_comparable = value->is_available && strlen(meter->serial) == DLT645_ADDRESS_TEXT_LEN;
    bool was_wrong = meter->is_wrong;
    meter->is_checked = true;
    meter->is_wrong = is_comparable && strcmp(meter->serial, value->digits) != 0;
    if (!meter->is_wrong || was_wrong) return;
    device_event event = {.kind = "meter_number_mismatch", .gateway = self->gateway, .meter = meter->meter};
    AUTO(buf) detail;
    buf_init(&detail, sizeof event.detail - 1);
    buf_addf(&detail, "{\"answered\":\"%s\"}", value->digits);
    sv_copy_truncated(buf_view(&detail), event.detail, sizeof event.detail);
    bookkeeper_event(self->owner->app->bookkeeper, &event);
    LOG_WARN("a meter answers with another number than the one installed; nothing of it is taken", LOG_I("meter", meter->meter->num),
             LOG_S("answered", value->digits));
}

static void take_energy(dtu_link *self, dtu_meter *meter, const dlt645_message *message, instant_ms at) {
    dtu_job *job = &self->job;
    for (size_t i = 0; i < message->value_count && job->value_count < ARRAY_LEN(job->values); i++)
        if (dlt645_value_register(&message->values[i], &job->values[job->value_count].reg, &job->values[job->value_count].value))
            job->value_count++;
    job->energy_at = at;
    job->has_energy = job->value_count > 0;
    if (job->has_energy) dtu_poll_journal(self, meter, job);
}

static void take_answer(dtu_link *self, const dlt645_frame *frame) {
    dtu_meter *meter = &self->plan.items[self->job.meter];
    dlt645_message message;
    instant_ms now = service_now(self->owner->app->svc);
    dlt645_result result = dlt645_decode(frame, &message);
    self->job.was_answered = true;
    metric_add(self->owner->count.answers, 1);
    presence_meter_heard(self->owner->app->presence, meter->meter, now);
    if (result != DLT645_OK) {
        metric_add(self->owner->count.bad_frames, 1);
        dtu_poll_refuse(self, meter, frame, result == DLT645_NOT_BCD ? REFUSAL_NOT_BCD : REFUSAL_WRONG_LENGTH);
        step_failed(self, "bad_answer");
        return;
    }
    if (!message.is_ok || message.has_more) {
        meter->refused_items[self->job.step]++;
        if (self->job.step == STEP_NUMBER) meter->is_checked = true;
        next_step(self);
        return;
    }
    if (self->job.step == STEP_NUMBER) dtu_bus_take_number(self, meter, &message);
    if (self->job.step == STEP_ENERGY || self->job.step == STEP_TOTAL) take_energy(self, meter, &message, now);
    self->job.has_status |= self->job.step == STEP_STATUS_WORDS;
    dtu_poll_values(self, meter, &message, now);
    next_step(self);
}

// Whether a frame answers the question in flight: the address that was asked (the wildcard is never asked, so never
// accepted), the function that was asked, the item that was asked.
static bool is_answer(const dtu_link *self, const dlt645_frame *frame) {
    uint8_t function = self->asked.control | 0x80;
    bool is_error = frame->control == (function | 0x40);
    bool is_good = frame->control == function || frame->control == (function | 0x20);
    if (!dlt645_address_equal(frame->address, self->asked.address) || !(is_good || is_error)) return false;
    bool tells_item = function == 0x91 && is_good && frame->len >= 4;
    return !tells_item || dtu_frame_item(frame) == dtu_frame_item(&self->asked);
}

static void take_frame(dtu_link *self, const dlt645_frame *frame) {
    if (!dlt645_frame_is_answer(frame)) {
        metric_add(self->owner->count.echoes, 1);
        return;
    }
    if (self->bus == BUS_ASKING && is_answer(self, frame)) {
        evtimer_del(self->bus_timer);
        if (self->has_order)
            dtu_order_answer(self, frame);
        else
            take_answer(self, frame);
        return;
    }
    metric_add(self->owner->count.mismatches, 1);
}

// Gateways put their own lines between the meter's bytes: the heartbeat, some also their registration.
static sv without_lines(const dtu_link *self, sv bytes) {
    for (;;) {
        sv registration = {self->line, self->line_len};
        if (sv_starts_with(bytes, SV(DTU_HEARTBEAT)))
            bytes = sv_skip(bytes, sizeof DTU_HEARTBEAT - 1);
        else if (registration.len && sv_starts_with(bytes, registration))
            bytes = sv_skip(bytes, registration.len);
        else
            return bytes;
        while (bytes.len && (bytes.ptr[0] == '\r' || bytes.ptr[0] == '\n')) bytes = sv_skip(bytes, 1);
    }
}

void dtu_bus_bytes(dtu_link *self, sv bytes) {
    if (self->scanner.len == 0) bytes = without_lines(self, bytes);
    if (self->bus == BUS_DRAINING && bytes.len) {
        int64_t left_ms = self->drain_until_ms - clock_monotonic_ms();
        dtu_after(self->bus_timer, left_ms < 1 ? 1 : left_ms < DRAIN_QUIET_MS ? left_ms : DRAIN_QUIET_MS);
    }
    while (bytes.len && self->state == LINK_UP) {
        dlt645_event event;
        bytes = sv_skip(bytes, dlt645_scanner_add(&self->scanner, bytes));
        while (self->state == LINK_UP && dlt645_scanner_next(&self->scanner, false, &event)) {
            if (event.is_frame)
                take_frame(self, &event.frame);
            else
                metric_add(self->owner->count.skipped_bytes, (int64_t)event.count);
        }
    }
}

// ---- time ----

// What stands incomplete in the scanner will not be completed.
static void flush_scanner(dtu_link *self) {
    dlt645_event event;
    while (self->state == LINK_UP && dlt645_scanner_next(&self->scanner, true, &event)) {
        if (event.is_frame)
            take_frame(self, &event.frame);
        else
            metric_add(self->owner->count.skipped_bytes, (int64_t)event.count);
    }
}

void dtu_bus_timer(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    dtu_link *self = context;
    if (self->state != LINK_UP) return;
    switch (self->bus) {
        case BUS_IDLE: take_turn(self); return;
        case BUS_ASKING:
            flush_scanner(self);  // may hide the answer behind a false start
            if (self->state != LINK_UP || self->bus != BUS_ASKING || evtimer_pending(self->bus_timer, NULL)) return;
            metric_add(self->owner->count.timeouts, 1);
            self->bus = BUS_DRAINING;
            self->drain_until_ms = clock_monotonic_ms() + DRAIN_MAX_MS;
            dtu_after(self->bus_timer, DRAIN_QUIET_MS + dtu_random_below(RETRY_JITTER_MS));
            return;
        case BUS_DRAINING:
            self->bus = BUS_IDLE;
            flush_scanner(self);
            if (self->has_order)
                dtu_order_unanswered(self);
            else
                step_failed(self, "timeout");
            return;
        case BUS_HELD: return;
    }
    BUG("bus state");
}

void dtu_bus_start(dtu_link *self) {
    dlt645_scanner_init(&self->scanner);
    self->plan_version = UINT32_MAX;
    take_turn(self);
}

void dtu_bus_wake(dtu_link *self) {
    if (self->bus != BUS_IDLE || self->has_job || self->has_order) return;
    evtimer_del(self->bus_timer);
    take_turn(self);
}

void dtu_bus_tick(dtu_link *self) {
    if (self->bus == BUS_IDLE && !self->has_job && !self->has_order && !evtimer_pending(self->bus_timer, NULL)) take_turn(self);
}

void dtu_bus_done(dtu_link *self) {
    if (self->has_job && self->job.is_urgent && !self->job.has_energy) {
        line_result result = line_result_of(&self->job.order, LINE_FAILED, "gateway_offline");
        dispatcher_result(self->owner->app->dispatcher, &result);
    }
    self->has_job = false;
    dtu_order_end_all(self);
    vec_done(&self->plan);
}
