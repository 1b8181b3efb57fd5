#include "switching/switching.h"

#include <stddef.h>

#include "base/mem.h"

static const struct {
    const char *text, *meaning;
} REFUSALS[] = {
    {NULL, NULL},
#define REFUSAL(name, text, meaning) {text, meaning},
#include "switching/refusals.def"
#undef REFUSAL
};

const char *switching_refusal_text(switching_refusal refusal) { return REFUSALS[refusal].text; }
const char *switching_refusal_meaning(switching_refusal refusal) { return REFUSALS[refusal].meaning; }

bool switching_refusal_parse(sv text, switching_refusal *out_refusal) {
    for (size_t i = 1; i < ARRAY_LEN(REFUSALS); i++) {
        if (!sv_equal(sv_of(REFUSALS[i].text), text)) continue;
        *out_refusal = (switching_refusal)i;
        return true;
    }
    return false;
}

static const char *const CAUSES[] = {NULL, "arrears", "operator", "customer"};
static const char *const STATES[] = {"unknown", "on", "off", "opening", "closing", "stuck"};

const char *switching_cause_text(switching_cause cause) { return CAUSES[cause]; }

switching_cause switching_cause_of(sv text) {
    for (size_t i = 1; i < ARRAY_LEN(CAUSES); i++)
        if (sv_equal(sv_of(CAUSES[i]), text)) return (switching_cause)i;
    return SWITCHING_CAUSE_UNKNOWN;
}

const char *switching_state_text(switching_state state) { return STATES[state]; }

switching_state switching_state_of(sv text) {
    for (size_t i = 1; i < ARRAY_LEN(STATES); i++)
        if (sv_equal(sv_of(STATES[i]), text)) return (switching_state)i;
    return SWITCHING_STATE_UNKNOWN;
}

static bool is_complete(const switching_facts *f) {
    if (f->cause == SWITCHING_CAUSE_UNKNOWN || !f->is_newest || !f->is_switchable || !f->never_cut || !f->is_forced_on || !f->is_frozen ||
        !f->has_unknown_off || f->off_last_hour < 0 || f->off_limit <= 0)
        return false;
    if (f->cause == SWITCHING_CAUSE_CUSTOMER) return f->is_own != SWITCHING_NOT_KNOWN;
    if (f->cause == SWITCHING_CAUSE_OPERATOR) return true;
    return f->prepaid_rule && f->is_shared && f->is_stopped && f->in_window && f->is_warned && f->stale_after_ms > 0 &&
           f->credit_quiet_ms > 0 && f->min_on_ms >= 0;
}

// A word of the payments service that is not known here is a payment nobody can judge.
static switching_refusal payment_refusal(sv block) {
    switching_refusal refusal;
    if (block.len == 0) return SWITCHING_ALLOWED;
    if (switching_refusal_parse(block, &refusal) && refusal >= SWITCHING_PAYMENT_UNKNOWN && refusal <= SWITCHING_PAYMENT_RECENT)
        return refusal;
    return SWITCHING_PAYMENT_UNKNOWN;
}

static switching_refusal arrears_refusal(const switching_facts *f) {
    if (f->prepaid_rule == SWITCHING_NO) return SWITCHING_RULE_OFF;
    if (f->is_shared == SWITCHING_YES) return SWITCHING_SHARED;
    if (f->level == SWITCHING_LEVEL_NONE) return SWITCHING_NO_PURSE;
    if (f->level < SWITCHING_LEVEL_ARREARS) return SWITCHING_NOT_IN_ARREARS;
    switching_refusal payment = payment_refusal(f->payment_block);
    if (payment) return payment;
    if (f->credit_age_ms < f->credit_quiet_ms) return SWITCHING_CREDIT_RECENT;
    if (f->is_stopped == SWITCHING_YES) return SWITCHING_POINT_STOPPED;
    if (f->reading_age_ms > f->stale_after_ms || f->reading_age_ms < -SWITCHING_FUTURE_MS) return SWITCHING_STALE_READING;
    if (f->tariff_age_ms < SWITCHING_TARIFF_QUIET_MS) return SWITCHING_TARIFF_CHANGED;
    if (f->in_window == SWITCHING_NO) return SWITCHING_OUTSIDE_WINDOW;
    if (f->is_warned == SWITCHING_NO) return SWITCHING_NO_WARNING;
    if (f->on_age_ms < f->min_on_ms) return SWITCHING_ON_RECENT;
    return SWITCHING_ALLOWED;
}

switching_refusal switching_refusal_of(const switching_facts *f) {
    if (!is_complete(f)) return SWITCHING_MISSING_FACTS;
    if (f->is_newest == SWITCHING_NO) return SWITCHING_SUPERSEDED;
    if (f->is_switchable == SWITCHING_NO) return SWITCHING_NOT_SWITCHABLE;
    if (f->never_cut == SWITCHING_YES) return SWITCHING_NEVER_CUT;
    if (f->is_forced_on == SWITCHING_YES) return SWITCHING_FORCE_ON;
    if (f->has_unknown_off == SWITCHING_YES) return SWITCHING_OUTCOME_UNKNOWN;
    if (f->cause == SWITCHING_CAUSE_CUSTOMER && f->is_own == SWITCHING_NO) return SWITCHING_NOT_ALLOWED;
    switching_refusal refusal = f->cause == SWITCHING_CAUSE_ARREARS ? arrears_refusal(f) : SWITCHING_ALLOWED;
    if (refusal) return refusal;
    if (f->is_frozen == SWITCHING_YES) return SWITCHING_FROZEN;
    return f->off_last_hour >= f->off_limit ? SWITCHING_LIMITER : SWITCHING_ALLOWED;
}

switching_wish switching_wish_of(const switching_standing *s) {
    if (s->never_cut || s->is_forced_on || s->hold == SWITCHING_HOLD_ON) return SWITCHING_WANT_ON;
    if (s->hold == SWITCHING_HOLD_OFF) return SWITCHING_WANT_OFF;
    if (!s->prepaid_rule || s->is_shared) return s->is_off ? SWITCHING_WANT_ON : SWITCHING_STAY;
    if (s->level == SWITCHING_LEVEL_NONE) return SWITCHING_STAY;
    return s->level >= SWITCHING_LEVEL_ARREARS ? SWITCHING_WANT_OFF : SWITCHING_WANT_ON;
}

static switching_step step_towards_on(const switching_position *p) {
    if (!p->was_touched || p->has_open_on) return SWITCHING_REST;
    if (!p->is_verified) return SWITCHING_SEND_ON;
    bool is_contradicted = p->seen == SWITCHING_STATE_OFF || p->seen == SWITCHING_STATE_CLOSING || p->seen == SWITCHING_STATE_STUCK;
    return is_contradicted && !p->keeps_itself_off ? SWITCHING_SEND_ON : SWITCHING_REST;
}

static switching_step step_towards_off(const switching_position *p) {
    if (p->has_open_off) return SWITCHING_REST;
    switching_step look = p->has_open_read || p->has_fresh_look ? SWITCHING_REST : SWITCHING_READ_BACK;
    if (p->has_unknown_off) return look;
    switch (p->seen) {
        case SWITCHING_STATE_OFF: return p->is_verified ? SWITCHING_REST : SWITCHING_PROPOSE_OFF;
        case SWITCHING_STATE_CLOSING: return look;
        case SWITCHING_STATE_STUCK: return SWITCHING_REST;  // a person has to look
        case SWITCHING_STATE_UNKNOWN:
        case SWITCHING_STATE_ON:
        case SWITCHING_STATE_OPENING: return SWITCHING_PROPOSE_OFF;
    }
    return SWITCHING_REST;
}

switching_step switching_step_of(const switching_position *p) { return p->is_off ? step_towards_off(p) : step_towards_on(p); }

switching_end switching_end_of(bool is_off_command, switching_state seen, bool was_sent) {
    if (!is_off_command) return seen == SWITCHING_STATE_ON ? SWITCHING_DONE : SWITCHING_AGAIN;
    if (seen == SWITCHING_STATE_OFF) return SWITCHING_DONE;
    if (seen == SWITCHING_STATE_ON || !was_sent) return SWITCHING_WITHOUT_EFFECT;
    return SWITCHING_END_UNKNOWN;
}
