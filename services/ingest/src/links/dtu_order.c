// What is done to one meter on order, question by question, each the turn of a bus that other turns wait for:
//
//   number (once a link) → date, time → [claim] → command → status word 3 until it shows → load, after a switch-off
//   parameters: each read, written where it differs, read again
//
// A switch-off leaves at most once: only after its claim, never again after a time-out, and dead five minutes after the
// meter's own clock as it was just read. Done is what was read back; what the meter said to the command decides only how
// long it is waited for.
#include <string.h>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/mem.h"
#include "crypto/crypto.h"
#include "links/dtu.h"

#define RETRIES 2
#define DEADLINE_S 300
#define CLAIM_AGE_MS (30 * SECOND_MS)        // a claim answered later than this after the clock was read is not used
#define CLOCK_ABSURD_S ((int64_t)36 * 3600)  // further from ours, in whatever zone: the clock stands or was lost
#define MIDNIGHT_S 60                        // a date read just before a time just behind midnight may be yesterday's
#define LOOK_AGAIN_MS SECOND_MS
#define LOAD_LOOKS 3
#define LOAD_NONE 200  // 0.1 W: below this nothing flows

static void ask(dtu_link *self, order_step step);

// ---- ends ----

static void end_with(dtu_link *self, dtu_order *order, line_outcome outcome, const char *reason, const char *alarm) {
    line_result result = line_result_of(&order->what, outcome, reason);
    result.supply = order->supply;
    result.alarm = alarm;
    result.at = service_now(self->owner->app->svc);
    dispatcher_result(self->owner->app->dispatcher, &result);
    crypto_wipe(order->what.password, sizeof order->what.password);
}

static void end(dtu_link *self, line_outcome outcome, const char *reason) {
    end_with(self, &self->order, outcome, reason, NULL);
    self->has_order = false;
    crypto_wipe(&self->asked, sizeof self->asked);
    dtu_bus_end_turn(self);
}

static bool is_off(const dtu_order *order) { return order->what.operation == LINE_SWITCH_OFF; }

// It was not done, for this reason. A switch-off that may have left is unknown, one that did not is over; the rest comes
// again, until its time is up.
static line_outcome undone(const dtu_order *order) {
    if (!is_off(order)) return order->what.operation == LINE_READ_NOW ? LINE_FAILED : LINE_AGAIN;
    return order->is_sent ? LINE_UNKNOWN : LINE_FAILED;
}

static void not_obeyed(dtu_link *self, const char *reason) {
    dtu_order *order = &self->order;
    const char *alarm = order->what.tries > 1 ? NULL : "not_obeyed";  // once, not at each try
    end_with(self, order, is_off(order) ? LINE_FAILED : LINE_AGAIN, reason, alarm);
    self->has_order = false;
    dtu_bus_end_turn(self);
}

static void drop(dtu_link *self, size_t at) {
    crypto_wipe(self->orders.items[at].what.password, sizeof self->orders.items[at].what.password);
    memmove(self->orders.items + at, self->orders.items + at + 1, (--self->orders.len - at) * sizeof *self->orders.items);
}

// Gives the bus away while the device moves.
static void look_again_later(dtu_link *self) {
    self->order.due_ms = clock_monotonic_ms() + LOOK_AGAIN_MS;
    vec_push(&self->orders, self->order);
    self->has_order = false;
    dtu_bus_end_turn(self);
}

// ---- whose turn it is ----

static bool is_supply(line_operation operation) {
    return operation == LINE_SWITCH_OFF || operation == LINE_SWITCH_ON || operation == LINE_CLOSE_ALLOW;
}

// What a newer command for the same supply makes pointless: an older one whose device is still on its way.
static void end_replaced(dtu_link *self, const line_order *by) {
    for (size_t i = self->orders.len; i-- > 0;) {
        dtu_order *order = &self->orders.items[i];
        if (order->what.meter != by->meter || !order->is_sent || !is_supply(order->what.operation)) continue;
        end_with(self, order, undone(order), "superseded", NULL);
        drop(self, i);
    }
}

void dtu_order_add(dtu_link *self, const line_order *order) {
    dtu_order added = {.what = *order, .due_ms = clock_monotonic_ms()};
    if (is_supply(order->operation)) end_replaced(self, order);
    if (self->orders.len >= DTU_ORDERS_MAX) {
        end_with(self, &added, undone(&added), "busy", NULL);
        return;
    }
    vec_push(&self->orders, added);
    dtu_bus_wake(self);
}

// Light before all else.
static int rank(const dtu_order *order) {
    if (order->what.operation == LINE_SWITCH_ON || order->what.operation == LINE_CLOSE_ALLOW) return 0;
    return line_operation_is_switch(order->what.operation) ? 1 : 2;
}

int64_t dtu_order_due_ms(const dtu_link *self) {
    int64_t due_ms = INT64_MAX;
    for (size_t i = 0; i < self->orders.len; i++)
        if (self->orders.items[i].due_ms < due_ms) due_ms = self->orders.items[i].due_ms;
    return due_ms;
}

static bool take_first(dtu_link *self, dtu_order *out) {
    int64_t now_ms = clock_monotonic_ms();
    size_t first = self->orders.len;
    for (size_t i = 0; i < self->orders.len; i++)
        if (self->orders.items[i].due_ms <= now_ms &&
            (first == self->orders.len || rank(&self->orders.items[i]) < rank(&self->orders.items[first])))
            first = i;
    if (first == self->orders.len) return false;
    *out = self->orders.items[first];
    drop(self, first);
    return true;
}

static order_step step_behind_number(const dtu_order *order) {
    if (order->is_sent || order->what.operation == LINE_READ_STATE) return ORDER_STATUS;
    return order->what.operation == LINE_SET_PARAMETERS ? ORDER_READ : ORDER_DATE;
}

static bool find_meter(const dtu_link *self, const line_order *order, size_t *out_at) {
    for (size_t i = 0; i < self->plan.len; i++) {
        if (self->plan.items[i].meter->num != order->meter || self->plan.items[i].channel == 0) continue;
        *out_at = i;
        return true;
    }
    return false;
}

bool dtu_order_take_turn(dtu_link *self) {
    dtu_order order;
    while (take_first(self, &order)) {
        if (!find_meter(self, &order.what, &order.meter)) {
            end_with(self, &order, order.is_sent ? undone(&order) : LINE_FAILED, "unknown_meter", NULL);
            continue;
        }
        if (order.what.operation == LINE_READ_NOW) {
            dtu_bus_read_now(self, order.meter, &order.what);
            return true;
        }
        dtu_meter *meter = &self->plan.items[order.meter];
        if (meter->is_wrong) meter->is_checked = false;  // it may have been put right
        self->has_order = true;
        self->order = order;
        ask(self, meter->is_checked ? step_behind_number(&order) : ORDER_NUMBER);
        return true;
    }
    return false;
}

// ---- questions ----

static dlt645_operation operation_of(line_operation operation) {
    switch (operation) {
        case LINE_SWITCH_OFF: return DLT645_TRIP;
        case LINE_SWITCH_ON: return DLT645_CLOSE;
        case LINE_CLOSE_ALLOW: return DLT645_CLOSE_ALLOW;
        case LINE_KEEP_POWER: return DLT645_KEEP_POWER;
        case LINE_RELEASE_KEEP_POWER: return DLT645_KEEP_POWER_RELEASE;
        case LINE_SET_PARAMETERS:
        case LINE_READ_STATE:
        case LINE_READ_NOW:
        case LINE_OPERATION_COUNT: break;
    }
    BUG("no control command");
}

static dlt645_frame act_frame(const dtu_order *order, dlt645_address address) {
    dlt645_control control = {.operation = operation_of(order->what.operation),
                              .level = order->what.level,
                              .operator_code = (uint32_t)order->what.num,
                              .deadline = dlt645_time_from_seconds(order->clock_s + DEADLINE_S)};
    memcpy(control.password, order->what.password, sizeof control.password);
    dlt645_frame frame = dlt645_control_request(address, &control);
    crypto_wipe(&control, sizeof control);
    return frame;
}

static dlt645_frame write_frame(const dtu_order *order, dlt645_address address, const line_item *item) {
    dlt645_writer writer = {.level = order->what.level, .operator_code = (uint32_t)order->what.num};
    memcpy(writer.password, order->what.password, sizeof writer.password);
    dlt645_frame frame = {0};
    bool fits = item->is_slot ? dlt645_write_slot(address, &writer, item->data_id, item->slot, &frame)
                              : dlt645_write_number(address, &writer, item->data_id, item->count, &frame);
    crypto_wipe(&writer, sizeof writer);
    CHECK(fits);  // the order was checked when it came
    return frame;
}

static dlt645_frame frame_of(const dtu_order *order, dlt645_address address) {
    line_item item = {0};
    switch (order->step) {
        case ORDER_NUMBER: return dlt645_read(address, 0x04000402);
        case ORDER_DATE: return dlt645_read(address, 0x04000101);
        case ORDER_TIME: return dlt645_read(address, 0x04000102);
        case ORDER_STATUS: return dlt645_read(address, 0x04000503);
        case ORDER_LOAD: return dlt645_read(address, 0x02030000);
        case ORDER_ACT: return act_frame(order, address);
        case ORDER_READ:
        case ORDER_WRITE:
            CHECK(line_parameters_item(&order->what.parameters, order->item, &item));
            return order->step == ORDER_READ ? dlt645_read(address, item.data_id) : write_frame(order, address, &item);
        case ORDER_CLAIM: break;
    }
    BUG("nothing to ask");
}

static void send_frame(dtu_link *self) {
    dlt645_frame frame = frame_of(&self->order, self->plan.items[self->order.meter].address);
    bool is_switch_off = self->order.step == ORDER_ACT && is_off(&self->order);
    if (is_switch_off) CRASH_POINT("ingest.before_switch");
    if (self->order.step == ORDER_ACT) self->order.is_sent = true;
    dtu_bus_ask(self, &frame);
    crypto_wipe(&frame, sizeof frame);
    if (is_switch_off) CRASH_POINT("ingest.after_switch");
}

static void claim(dtu_link *self) {
    line_claim claim = {.order = self->order.what, .link = self->owner->index, .link_id = self->id};
    self->bus = BUS_HELD;
    dispatcher_claim(self->owner->app->dispatcher, &claim);
    crypto_wipe(claim.order.password, sizeof claim.order.password);
}

static void ask(dtu_link *self, order_step step) {
    self->order.step = step;
    self->order.tries = 0;
    if (step == ORDER_CLAIM)
        claim(self);
    else
        send_frame(self);
}

void dtu_order_claimed(dtu_link *self, const line_claim *claim) {
    bool is_waited_for = self->has_order && self->bus == BUS_HELD && memcmp(&self->order.what.id, &claim->order.id, sizeof(uuid)) == 0;
    if (!is_waited_for) return;
    self->bus = BUS_IDLE;
    if (!claim->is_claimed)
        end(self, strcmp(claim->reason, "claim_failed") == 0 ? LINE_FAILED : LINE_REFUSED, claim->reason);
    else if (clock_monotonic_ms() - self->order.clock_ms > CLAIM_AGE_MS)
        end(self, LINE_FAILED, "claim_too_late");
    else
        ask(self, ORDER_ACT);
}

// ---- answers ----

static void take_time(dtu_link *self, const dlt645_value *value) {
    dtu_order *order = &self->order;
    dlt645_time now = value->time;
    now.year = order->date.year;
    now.month = order->date.month;
    now.day = order->date.day;
    bool was_midnight_between = now.hour == 0 && now.minute * 60 + now.second < MIDNIGHT_S && order->clock_ms == 0;
    order->clock_s = dlt645_time_seconds(now);
    order->clock_ms = clock_monotonic_ms();
    if (was_midnight_between) {
        ask(self, ORDER_DATE);
        return;
    }
    int64_t apart_s = order->clock_s - service_now(self->owner->app->svc) / SECOND_MS;
    if (apart_s > CLOCK_ABSURD_S || apart_s < -CLOCK_ABSURD_S)
        end(self, LINE_REFUSED, "meter_clock");
    else
        ask(self, is_off(order) ? ORDER_CLAIM : ORDER_ACT);
}

// As control knows it: a relay is where it is; a valve that is not where it was told to be is on its way.
static const char *supply_text(uint16_t word, bool is_valve) {
    switch (dlt645_supply_of(word)) {
        case DLT645_SUPPLY_ON: return "on";
        case DLT645_SUPPLY_OFF: return "off";
        case DLT645_SUPPLY_GOING_ON: return is_valve ? "opening" : "off";
        case DLT645_SUPPLY_GOING_OFF: return is_valve ? "closing" : "on";
    }
    BUG("supply");
}

static bool has_arrived(line_operation operation, uint16_t word) {
    switch (operation) {
        case LINE_SWITCH_OFF: return dlt645_supply_of(word) == DLT645_SUPPLY_OFF;
        case LINE_SWITCH_ON: return dlt645_supply_of(word) == DLT645_SUPPLY_ON;
        case LINE_CLOSE_ALLOW: return !(word & DLT645_STATUS3_RELAY_COMMAND_OPEN);
        case LINE_KEEP_POWER: return word & DLT645_STATUS3_KEEP_POWER;
        case LINE_RELEASE_KEEP_POWER: return !(word & DLT645_STATUS3_KEEP_POWER);
        case LINE_READ_STATE: return true;
        case LINE_SET_PARAMETERS:
        case LINE_READ_NOW:
        case LINE_OPERATION_COUNT: break;
    }
    BUG("nothing to arrive at");
}

static bool is_stuck(uint16_t word) {
    dlt645_supply supply = dlt645_supply_of(word);
    return supply == DLT645_SUPPLY_GOING_ON || supply == DLT645_SUPPLY_GOING_OFF;
}

static void take_status(dtu_link *self, uint16_t word) {
    dtu_order *order = &self->order;
    order->supply = supply_text(word, order->what.is_valve);
    if (has_arrived(order->what.operation, word)) {
        if (is_off(order) && !order->what.is_valve)
            ask(self, ORDER_LOAD);
        else
            end(self, LINE_VERIFIED, NULL);
    } else if (order->refusal) {
        bool is_final = is_off(order) || strcmp(order->refusal, "not_authorised") == 0;
        end(self, is_final ? LINE_REFUSED : LINE_AGAIN, order->refusal);
    } else if (!order->is_taken) {
        end(self, undone(order), "no_answer");
    } else if (clock_monotonic_ms() < order->show_until_ms) {
        look_again_later(self);
    } else {
        if (is_stuck(word)) order->supply = "stuck";
        not_obeyed(self, "not_obeyed");
    }
}

// A relay that says it is open while current flows is bridged or broken. The power shown may be a moment old.
static void take_load(dtu_link *self, const dlt645_value *value) {
    dtu_order *order = &self->order;
    int64_t power = value->is_available ? value->number : 0;
    bool flows = power > LOAD_NONE || power < -LOAD_NONE;
    if (!flows) {
        end(self, LINE_VERIFIED, NULL);
    } else if (++order->load_looks < LOAD_LOOKS) {
        look_again_later(self);
    } else {
        order->supply = "stuck";
        not_obeyed(self, "load_flows");
    }
}

static bool is_as_ordered(const dlt645_value *value, const line_item *item) {
    if (!value->is_available) return false;
    if (!item->is_slot) return value->shape == DLT645_SHAPE_NUMBER && value->number == item->count;
    if (value->shape != DLT645_SHAPE_SLOT || value->number != (int64_t)item->slot.action) return false;
    bool is_unused = item->slot.action == DLT645_SLOT_UNUSED;
    return is_unused || (value->time.hour == item->slot.hour && value->time.minute == item->slot.minute);
}

static void mismatch(dtu_link *self) {
    bool is_barred = self->order.refusal && strcmp(self->order.refusal, "not_authorised") == 0;
    end_with(self, &self->order, is_barred ? LINE_REFUSED : LINE_FAILED, self->order.refusal ? self->order.refusal : "parameter_mismatch",
             "parameter_mismatch");
    self->has_order = false;
    dtu_bus_end_turn(self);
}

static void take_parameter(dtu_link *self, const dlt645_value *value) {
    dtu_order *order = &self->order;
    line_item item;
    CHECK(line_parameters_item(&order->what.parameters, order->item, &item));
    if (!is_as_ordered(value, &item)) {
        if (order->is_written)
            mismatch(self);
        else
            ask(self, ORDER_WRITE);
        return;
    }
    order->is_written = false;
    order->refusal = NULL;
    order->item++;
    if (line_parameters_item(&order->what.parameters, order->item, &item))
        ask(self, ORDER_READ);
    else
        end(self, LINE_VERIFIED, NULL);
}

static void take_number(dtu_link *self, dtu_meter *meter, const dlt645_message *message) {
    dtu_bus_take_number(self, meter, message);
    if (meter->is_wrong)
        end(self, self->order.is_sent ? undone(&self->order) : LINE_REFUSED, "wrong_meter");
    else
        ask(self, step_behind_number(&self->order));
}

static void take_acknowledgement(dtu_link *self, const char *why_not) {
    dtu_order *order = &self->order;
    order->is_taken = !why_not;
    order->refusal = why_not;
    int64_t wait_ms = order->what.is_valve ? self->owner->valve_wait_ms : self->owner->relay_wait_ms;
    order->show_until_ms = clock_monotonic_ms() + wait_ms;
    ask(self, ORDER_STATUS);
}

// The meter says no, which proves nothing about what it did.
static void take_error(dtu_link *self, dtu_meter *meter, const dlt645_message *message) {
    const char *why_not = dlt645_message_error(message);
    switch (self->order.step) {
        case ORDER_NUMBER:
            meter->is_checked = true;  // it has none to read
            ask(self, step_behind_number(&self->order));
            return;
        case ORDER_DATE:
        case ORDER_TIME: end(self, LINE_REFUSED, "meter_clock"); return;
        case ORDER_ACT: take_acknowledgement(self, why_not); return;
        case ORDER_STATUS: end(self, undone(&self->order), "no_status"); return;
        case ORDER_LOAD: end(self, LINE_VERIFIED, NULL); return;
        case ORDER_READ: end(self, LINE_FAILED, "not_supported"); return;
        case ORDER_WRITE:
            self->order.refusal = why_not;
            self->order.is_written = true;
            ask(self, ORDER_READ);
            return;
        case ORDER_CLAIM: break;
    }
    BUG("an answer to nothing");
}

static void take_value(dtu_link *self, dtu_meter *meter, const dlt645_message *message) {
    const dlt645_value *value = &message->values[0];
    bool is_clock = self->order.step == ORDER_DATE || self->order.step == ORDER_TIME;
    if (is_clock && !value->is_available) {
        end(self, LINE_REFUSED, "meter_clock");
        return;
    }
    switch (self->order.step) {
        case ORDER_NUMBER: take_number(self, meter, message); return;
        case ORDER_DATE:
            self->order.date = value->time;
            ask(self, ORDER_TIME);
            return;
        case ORDER_TIME: take_time(self, value); return;
        case ORDER_ACT: take_acknowledgement(self, NULL); return;
        case ORDER_STATUS: take_status(self, (uint16_t)value->number); return;
        case ORDER_LOAD: take_load(self, value); return;
        case ORDER_READ: take_parameter(self, value); return;
        case ORDER_WRITE:
            self->order.is_written = true;
            ask(self, ORDER_READ);
            return;
        case ORDER_CLAIM: break;
    }
    BUG("an answer to nothing");
}

void dtu_order_answer(dtu_link *self, const dlt645_frame *frame) {
    dtu_meter *meter = &self->plan.items[self->order.meter];
    dlt645_message message;
    instant_ms now = service_now(self->owner->app->svc);
    dlt645_result result = dlt645_decode(frame, &message);
    metric_add(self->owner->count.answers, 1);
    presence_meter_heard(self->owner->app->presence, meter->meter, now);
    meter->misses = 0;
    bool wants_value = self->order.step != ORDER_ACT && self->order.step != ORDER_WRITE;
    bool is_impossible = result != DLT645_OK || (message.is_ok && wants_value && message.value_count == 0);
    if (is_impossible) {
        metric_add(self->owner->count.bad_frames, 1);
        if ((self->order.step == ORDER_DATE || self->order.step == ORDER_TIME) && result != DLT645_OK)
            end(self, LINE_REFUSED, "meter_clock");
        else
            dtu_order_unanswered(self);
        return;
    }
    if (!message.is_ok) {
        take_error(self, meter, &message);
        return;
    }
    dtu_poll_values(self, meter, &message, now);
    take_value(self, meter, &message);
}

// A time-out. Questions are repeated, a switch-off never.
void dtu_order_unanswered(dtu_link *self) {
    dtu_order *order = &self->order;
    bool is_once = order->step == ORDER_ACT && is_off(order);
    int retries = order->what.tries > 1 ? 0 : RETRIES;  // a dead meter's bus belongs to the others
    if (!is_once && order->tries++ < retries) {
        send_frame(self);
        return;
    }
    if (order->step == ORDER_ACT) {
        order->is_taken = false;
        ask(self, ORDER_STATUS);
    } else if (order->step == ORDER_LOAD) {
        end(self, LINE_VERIFIED, NULL);
    } else if (order->step == ORDER_WRITE) {
        order->is_written = true;
        ask(self, ORDER_READ);
    } else {
        end(self, undone(order), order->is_sent ? "no_answer" : "meter_silent");
    }
}

// ---- the link goes ----

static void end_lost(dtu_link *self, dtu_order *order) {
    end_with(self, order, undone(order), order->is_sent ? "session_lost" : "gateway_offline", NULL);
}

void dtu_order_end_all(dtu_link *self) {
    if (self->has_order) end_lost(self, &self->order);
    self->has_order = false;
    for (size_t i = 0; i < self->orders.len; i++) end_lost(self, &self->orders.items[i]);
    vec_done(&self->orders);
}
