// Decisions about a supply, from facts alone: what shall be, why a switch-off may not be, what is to be done next, and
// what an answer from the line means. A fact nobody filled in stands against a switch-off and against nothing else.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/sv.h"

typedef enum switching_refusal {
    SWITCHING_ALLOWED,
#define REFUSAL(name, text, meaning) SWITCHING_##name,
#include "switching/refusals.def"
#undef REFUSAL
    SWITCHING_REFUSAL_COUNT
} switching_refusal;

const char *switching_refusal_text(switching_refusal refusal);  // NULL for ALLOWED
const char *switching_refusal_meaning(switching_refusal refusal);
bool switching_refusal_parse(sv text, switching_refusal *out_refusal);

// Who wants the switch-off: the prepaid rule, an operator, or the customer himself.
typedef enum switching_cause {
    SWITCHING_CAUSE_UNKNOWN,
    SWITCHING_CAUSE_ARREARS,
    SWITCHING_CAUSE_OPERATOR,
    SWITCHING_CAUSE_CUSTOMER
} switching_cause;

const char *switching_cause_text(switching_cause cause);  // NULL for UNKNOWN
switching_cause switching_cause_of(sv text);              // UNKNOWN for any other word

typedef enum switching_truth { SWITCHING_NOT_KNOWN, SWITCHING_NO, SWITCHING_YES } switching_truth;

#define SWITCHING_NEVER INT64_MAX  // an age: it never happened
#define SWITCHING_LEVEL_NONE (-1)  // no purse
#define SWITCHING_LEVEL_ARREARS 3  // as in billing.purse
#define SWITCHING_TARIFF_QUIET_MS (24LL * 3600 * 1000)
#define SWITCHING_FUTURE_MS (10LL * 60 * 1000)  // a last reading further ahead than this is no reading

// Ages are in ms before the instant of the decision; negative: ahead of it. Limits and counts that are zero or less are
// not known, except off_last_hour.
typedef struct switching_facts {
    switching_cause cause;
    switching_truth is_newest;  // of the desired state this would carry out
    switching_truth is_switchable;
    switching_truth never_cut;
    switching_truth is_forced_on;
    switching_truth is_frozen;
    switching_truth has_unknown_off;  // an earlier switch-off was sent and not read back
    int64_t off_last_hour;            // of the company; -1: not known
    int64_t off_limit;
    switching_truth is_own;  // CUSTOMER only: it is his and he may

    // ARREARS only.
    switching_truth prepaid_rule;
    switching_truth is_shared;
    int32_t level;
    sv payment_block;  // reason of the payments service; empty: none
    int64_t credit_age_ms;
    switching_truth is_stopped;
    int64_t reading_age_ms;
    int64_t tariff_age_ms;
    switching_truth in_window;
    switching_truth is_warned;
    int64_t on_age_ms;
    int64_t stale_after_ms;
    int64_t credit_quiet_ms;
    int64_t min_on_ms;  // 0: none; -1: not known
} switching_facts;

switching_refusal switching_refusal_of(const switching_facts *facts);

// What the standing conditions want.
typedef enum switching_wish { SWITCHING_STAY, SWITCHING_WANT_ON, SWITCHING_WANT_OFF } switching_wish;
typedef enum switching_hold { SWITCHING_HOLD_NONE, SWITCHING_HOLD_ON, SWITCHING_HOLD_OFF } switching_hold;

typedef struct switching_standing {
    bool is_off;  // as desired now
    bool never_cut, is_forced_on;
    switching_hold hold;  // a person took it out of the prepaid rule
    bool prepaid_rule, is_shared;
    int32_t level;
} switching_standing;

switching_wish switching_wish_of(const switching_standing *standing);

typedef enum switching_state {
    SWITCHING_STATE_UNKNOWN,
    SWITCHING_STATE_ON,
    SWITCHING_STATE_OFF,
    SWITCHING_STATE_OPENING,
    SWITCHING_STATE_CLOSING,
    SWITCHING_STATE_STUCK
} switching_state;

const char *switching_state_text(switching_state state);
switching_state switching_state_of(sv text);  // UNKNOWN for any other word

// What brings the device closer to the desired state. OFF is only a proposal: switching_refusal_of decides.
typedef enum switching_step { SWITCHING_REST, SWITCHING_SEND_ON, SWITCHING_READ_BACK, SWITCHING_PROPOSE_OFF } switching_step;

typedef struct switching_position {
    bool is_off;            // desired
    bool was_touched;       // this point was switched, or tried to be, before
    bool is_verified;       // the newest version was read back
    switching_state seen;   // last read state
    bool has_open_on;       // a switch-on waits on the line
    bool has_open_off;      // a switch-off of the newest version waits on the line
    bool has_unknown_off;   // a switch-off was sent and not read back
    bool has_open_read;     // a reading of the state waits on the line
    bool has_fresh_look;    // it was read so short ago that reading it again would tell the same
    bool keeps_itself_off;  // its own schedule or protection switched it off
} switching_position;

switching_step switching_step_of(const switching_position *position);

// What the end of a switching command means. `seen` is what was read back with it. Read-back beats every answer; without
// one a switch-off that was sent has an unknown end, and one that was not sent has had no effect.
typedef enum switching_end { SWITCHING_DONE, SWITCHING_WITHOUT_EFFECT, SWITCHING_END_UNKNOWN, SWITCHING_AGAIN } switching_end;

switching_end switching_end_of(bool is_off_command, switching_state seen, bool was_sent);
