// What is measured beside usage for the lines that post at the close of a tier window: maximum demand, reactive energy.
#include "base/check.h"
#include "leg.h"
#include "metering/register.h"

#define MW_PER_W 1000  // the register of maximum demand counts 10^-6 kW

void charging_poll_take(charging_poll *self, uint8_t reg, int64_t value) {
    if (reg == REGISTER_REACTIVE_ENERGY_TOTAL) {
        self->has_reactive = true;
        self->reactive = value;
    } else if (reg == REGISTER_MAX_DEMAND) {
        self->has_max_demand = true;
        self->max_demand = value;
    }
}

// Quantity is milli-units of a kWh: Wh over hours.
static void measure_average(charging_demand *self, leg *way) {
    self->stretch_ms += way->to - way->from;
    self->stretch_quantity += way->quantity;
    way->average_w = 0;
    if (self->stretch_ms < CHARGING_DEMAND_MS) return;
    way->average_w = (int64_t)((int128)self->stretch_quantity * HOUR_MS / self->stretch_ms);
    self->stretch_ms = self->stretch_quantity = 0;
}

// The register keeps the highest value until the meter clears it. What it showed before already was reached before; only
// what it rose to, or stands at after it was cleared, was reached since.
static void measure_register(charging_demand *self, const charging_installation *inst, const charging_poll *poll, leg *way) {
    way->register_w = 0;
    if (!poll->has_max_demand || poll->max_demand < 0) return;
    bool is_new = !self->has_register_last || poll->max_demand != self->register_last;
    if (is_new) way->register_w = (int64_t)((int128)poll->max_demand * inst->ratio_num / inst->ratio_den / MW_PER_W);
    self->has_register_last = true;
    self->register_last = poll->max_demand;
}

static void measure_reactive(charging_demand *self, const charging_installation *inst, const charging_poll *poll, leg *way) {
    way->has_reactive = way->begins_reactive = false;
    if (!poll->has_reactive) return;
    if (self->has_reactive_last && poll->reactive >= self->reactive_last) {
        way->has_reactive = true;
        way->reactive = leg_scaled(inst, poll->reactive) - leg_scaled(inst, self->reactive_last);
    } else {
        way->begins_reactive = true;  // nothing to compare this stretch with: the next one begins here
        self->active_since = 0;
    }
    self->has_reactive_last = true;
    self->reactive_last = poll->reactive;
}

void demand_measure(charging_demand *self, const charging_installation *inst, const charging_poll *poll, leg *way) {
    measure_average(self, way);
    measure_register(self, inst, poll, way);
    measure_reactive(self, inst, poll, way);
}

void demand_hand_over(charging_demand *self) {
    self->window_from = 0;
    self->average_w = self->register_w = self->active = self->reactive = 0;
}

void demand_change_channel(charging_demand *self) {
    self->stretch_ms = self->stretch_quantity = self->active_since = 0;
    self->has_register_last = self->has_reactive_last = false;
    self->register_last = self->reactive_last = 0;
}

static void enter_window(charging_demand *self, instant_ms window_from) {
    if (self->window_from == window_from) return;
    demand_hand_over(self);
    self->window_from = window_from;
}

static int64_t share(int64_t whole, const leg *part, instant_ms from, instant_ms until) {
    return rating_split_by_time(whole, part->from, part->to, until) - rating_split_by_time(whole, part->from, part->to, from);
}

// The stretch [from, until) of the part lies in the window of `self`.
static void add(charging_demand *self, const leg *part, instant_ms from, instant_ms until) {
    if (part->average_w > self->average_w) self->average_w = part->average_w;
    if (until == part->to && part->register_w > self->register_w) self->register_w = part->register_w;
    if (part->begins_reactive) return;
    int64_t active = share(part->quantity, part, from, until);
    if (!part->has_reactive) {
        self->active_since += active;
        return;
    }
    self->active += active + self->active_since;
    self->active_since = 0;
    self->reactive += share(part->reactive, part, from, until);
}

static void push(charging_outcome *outcome, const charging_point *point, const charging_holder *holder, const charging_version *version,
                 const rating_state *state, bool is_closed) {
    vec_push(&outcome->windows, ((charging_window){.account = point->account,
                                                   .purse = point->purse,
                                                   .version_num = version->num,
                                                   .is_closed = is_closed,
                                                   .contracted_va = holder->contracted_va,
                                                   .demand = point->demand,
                                                   .state = *state}));
}

void windows_take(charging_outcome *outcome, charging_point *point, const charging_holder *holder, const charging_version *version,
                  const leg *part, window_before before) {
    const rating_state *state = &point->rating;
    charging_demand *demand = &point->demand;
    instant_ms at = part->from;
    for (size_t i = 0; i < outcome->trace.closed.len; i++) {
        const rating_state *closed = &outcome->trace.closed.items[i];
        // One that ended where this part begins was told by the part before; one of another version did not end.
        if (closed->window.to <= part->from || closed->window.to > part->to || closed->version != state->version) continue;
        enter_window(demand, closed->window.from);
        add(demand, part, at, closed->window.to);
        at = closed->window.to;
        push(outcome, point, holder, version, closed, true);
    }
    enter_window(demand, state->window.from);
    add(demand, part, at, part->to);
    bool is_closed = state->window.to <= part->to;
    bool is_new = before.version != state->version || before.from != state->window.from;
    if (is_closed || is_new) push(outcome, point, holder, version, state, is_closed);
}

static uint64_t root(uint64_t of) {
    uint64_t found = 0;
    for (uint64_t bit = 1ULL << 31; bit > 0; bit >>= 1)
        if ((found | bit) * (found | bit) <= of) found |= bit;
    return found;
}

// Active over apparent energy, in millionths, rounded down; 0 where nothing was measured.
static int64_t power_factor(int64_t active, int64_t reactive) {
    if (active <= 0 || reactive < 0) return 0;
    while (active > INT32_MAX || reactive > INT32_MAX) {  // only their ratio counts
        active /= 2;
        reactive /= 2;
    }
    while (active < INT32_MAX / 2 && reactive < INT32_MAX / 2) {
        active *= 2;
        reactive *= 2;
    }
    if (active == 0) return 0;
    uint64_t apparent = root((uint64_t)active * (uint64_t)active + (uint64_t)reactive * (uint64_t)reactive);
    int64_t factor = (int64_t)((uint64_t)active * 1000000 / apparent);
    return factor < 1000000 ? factor : 1000000;
}

rating_closing charging_closing_of(const charging_window *self, demand_source *out_source) {
    const charging_demand *demand = &self->demand;
    *out_source = demand->register_w > 0 ? DEMAND_OF_REGISTER : demand->average_w > 0 ? DEMAND_OF_READINGS : DEMAND_UNKNOWN;
    return (rating_closing){.max_demand_w = demand->register_w > 0 ? demand->register_w : demand->average_w,
                            .contracted_va = self->contracted_va,
                            .power_factor_micro = power_factor(demand->active, demand->reactive)};
}
