#include "verify_conservation.h"

#include "money/decimal.h"

typedef struct counter {
    const charging_installation *inst;
    int64_t value, rise;
    size_t rollovers;
} counter;

// A register rises; far below means that it passed its end; a small step back is a display's rounding.
static void counter_take(counter *self, int64_t value) {
    int64_t range = self->inst->limits.range;
    if (value >= self->value) {
        self->rise += value - self->value;
    } else if (range > 0 && self->value - value > range / 2) {
        self->rise += range - self->value + value;
        self->rollovers++;
    } else {
        return;
    }
    self->value = value;
}

static int64_t scaled(const counter *self) { return (int64_t)((int128)self->rise * self->inst->ratio_num / self->inst->ratio_den); }

void conserved_count(const charging_setup *setup, const stored_polls *polls, int64_t channel_now, int64_t value_now, conserved *out) {
    out->is_exact = true;
    for (size_t i = 0; i < setup->installation_count; i++) {
        const charging_installation *inst = &setup->installations[i];
        counter one = {.inst = inst, .value = inst->opening_value};
        bool is_now =
            inst->channel == channel_now && (i + 1 == setup->installation_count || setup->installations[i + 1].channel != channel_now);
        for (size_t p = 0; p < polls->list.len; p++) {
            const charging_poll *poll = &polls->list.items[p];
            if (poll->channel == inst->channel && poll->at >= inst->from && poll->at <= inst->to && quality_is_billable(poll->quality))
                counter_take(&one, poll->value);
        }
        if (is_now) {
            counter_take(&one, value_now);
            out->registers += scaled(&one);
        } else {
            int64_t read = scaled(&one);
            if (inst->closing_value >= 0) counter_take(&one, inst->closing_value);
            int64_t whole = scaled(&one);
            out->estimated += inst->has_estimated_close ? whole - read : 0;
            out->registers += inst->has_estimated_close ? read : whole;
        }
        out->meters++;
        out->rollovers += one.rollovers;
        out->is_exact = out->is_exact && inst->ratio_num % inst->ratio_den == 0;
        if (is_now) break;  // what was put in later has not counted yet
    }
}

// Each reading's usage is a difference of scaled values: with a broken ratio the scaled rise of an epoch may lack a
// milli-unit at each end.
bool conserved_holds(const conserved *self) {
    int64_t difference = self->registers + self->estimated - self->charged - self->unheld;
    int64_t slack = self->is_exact ? 0 : 2 * (int64_t)(self->meters + self->rollovers);
    return difference <= slack && difference >= -slack;
}

static void milli_add(buf *out, const char *before, int64_t value) {
    char text[DECIMAL_TEXT_MAX];
    decimal_format(value, 3, 3, text);
    buf_addf(out, "%s%s", before, text);
}

void conserved_tell(const conserved *self, buf *out) {
    milli_add(out, "registers ", self->registers);
    milli_add(out, " + estimated ", self->estimated);
    milli_add(out, " = charged ", self->charged);
    milli_add(out, " + held by nobody ", self->unheld);
    buf_addf(out, "%s\n", conserved_holds(self) ? "" : "  DIFFERS");
}
