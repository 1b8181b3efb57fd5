// One supply in a world of late, lost, repeated, reordered and forged messages. The controller sees what the control
// service would see and decides with the library alone; the oracle knows the truth and was written without it. No
// switch-off leaves that the truth forbids at that instant, and when the noise ends the supply is what it should be.
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "switching/switching.h"

#define MINUTE 60000LL
#define COMMANDS_MAX 4096
#define MESSAGES_MAX 256
#define DECISIONS 1000000
#define DECISIONS_LONG 20000000

typedef enum message_kind { LOOK, ORDER, FRAME, RESULT, OBSERVED } message_kind;
typedef enum command_state { ISSUED, SENT, NO_END, ENDED } command_state;

typedef struct command {
    bool is_off, is_on;  // neither: a reading of the state
    int64_t version, issued_at, sent_at;
    command_state state;
} command;

typedef struct message {
    message_kind kind;
    int64_t due_at, at;
    size_t command;
    switching_state seen;
    bool is_uncertain;  // RESULT: no answer came
} message;

typedef struct world {
    uint64_t random;
    int64_t now, decisions, claims, cuts;
    bool is_quiet;
    // Truth.
    int level;
    bool has_open_payment, in_window, is_warned, is_forced_on, never_cut, is_frozen, is_relay_on;
    int64_t credit_at, reading_at;
    // The controller's rows.
    bool is_off, is_verified;
    int64_t version, seen_at, on_since;
    switching_state seen;
    command commands[COMMANDS_MAX];
    size_t command_count;
    message messages[MESSAGES_MAX];
    size_t message_count;
} world;

static uint64_t next(world *w) {
    uint64_t z = (w->random += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}
static int64_t below(world *w, int64_t bound) { return (int64_t)(next(w) % (uint64_t)bound); }
static bool chance(world *w, int percent) { return below(w, 100) < percent; }

static void post(world *w, message what, int64_t longest_ms) {
    int copies = w->is_quiet ? 1 : chance(w, 15) ? 0 : chance(w, 20) ? 2 : 1;
    for (int i = 0; i < copies && w->message_count < MESSAGES_MAX; i++) {
        what.due_at = w->now + 1 + (w->is_quiet ? 0 : below(w, longest_ms));
        w->messages[w->message_count++] = what;
    }
}

static switching_facts facts_of(world *w, int64_t version) {
    int64_t unknown_offs = 0;
    for (size_t i = 0; i < w->command_count; i++)
        if (w->commands[i].is_off && (w->commands[i].state == SENT || w->commands[i].state == NO_END)) unknown_offs++;
    return (switching_facts){.cause = SWITCHING_CAUSE_ARREARS,
                             .is_newest = version == 0 || (version == w->version && w->is_off) ? SWITCHING_YES : SWITCHING_NO,
                             .is_switchable = SWITCHING_YES,
                             .never_cut = w->never_cut ? SWITCHING_YES : SWITCHING_NO,
                             .is_forced_on = w->is_forced_on ? SWITCHING_YES : SWITCHING_NO,
                             .is_frozen = w->is_frozen ? SWITCHING_YES : SWITCHING_NO,
                             .has_unknown_off = unknown_offs ? SWITCHING_YES : SWITCHING_NO,
                             .off_last_hour = 0,
                             .off_limit = 5,
                             .prepaid_rule = SWITCHING_YES,
                             .is_shared = SWITCHING_NO,
                             .level = w->level,
                             .payment_block = w->has_open_payment ? SV("payment_unknown") : SV_NONE,
                             .credit_age_ms = w->now - w->credit_at,
                             .is_stopped = SWITCHING_NO,
                             .reading_age_ms = w->now - w->reading_at,
                             .tariff_age_ms = SWITCHING_NEVER,
                             .in_window = w->in_window ? SWITCHING_YES : SWITCHING_NO,
                             .is_warned = w->is_warned ? SWITCHING_YES : SWITCHING_NO,
                             .on_age_ms = SWITCHING_NEVER,
                             .stale_after_ms = 60 * MINUTE,
                             .credit_quiet_ms = 10 * MINUTE,
                             .min_on_ms = 0};
}

// What the truth says, in the words of the requirement.
static bool may_be_cut_now(const world *w) {
    if (w->level != 3 || w->has_open_payment || !w->in_window || !w->is_warned) return false;
    if (w->is_forced_on || w->never_cut || w->is_frozen) return false;
    return w->now - w->credit_at >= 10 * MINUTE && w->now - w->reading_at <= 60 * MINUTE;
}
static bool must_be_on(const world *w) { return w->level != 3 || w->is_forced_on || w->never_cut; }

static void issue(world *w, bool is_off, bool is_on) {
    if (w->command_count == COMMANDS_MAX) return;
    w->commands[w->command_count++] = (command){.is_off = is_off, .is_on = is_on, .version = w->version, .issued_at = w->now};
    post(w, (message){.kind = ORDER, .command = w->command_count - 1}, 6 * MINUTE);
}

static void set_desired(world *w, bool is_off, bool is_verified) {
    w->is_off = is_off;
    w->version++;
    w->is_verified = is_verified;
    for (size_t i = 0; i < w->command_count; i++)
        if (w->commands[i].state == ISSUED && (w->commands[i].is_off || w->commands[i].is_on)) w->commands[i].state = ENDED;
}

static void propose_off(world *w) {
    switching_facts facts = facts_of(w, 0);
    w->decisions++;
    if (switching_refusal_of(&facts)) return;
    set_desired(w, true, false);
    issue(w, true, false);
}

static switching_position position_of(const world *w) {
    switching_position p = {.is_off = w->is_off,
                            .was_touched = w->version > 0,
                            .is_verified = w->is_verified,
                            .seen = w->seen,
                            .has_fresh_look = w->seen_at && w->now - w->seen_at < MINUTE};
    for (size_t i = 0; i < w->command_count; i++) {
        const command *c = &w->commands[i];
        bool is_waiting = c->state == ISSUED && w->now - c->issued_at < 7 * MINUTE;
        if (c->is_off && (c->state == SENT || c->state == NO_END)) p.has_unknown_off = true;
        if (c->is_off && is_waiting && c->version == w->version) p.has_open_off = true;
        if (c->is_on && is_waiting && c->version == w->version) p.has_open_on = true;
        if (!c->is_off && !c->is_on && is_waiting) p.has_open_read = true;
    }
    return p;
}

static void consider(world *w) {
    switching_standing standing = {
        .is_off = w->is_off, .never_cut = w->never_cut, .is_forced_on = w->is_forced_on, .prepaid_rule = true, .level = w->level};
    switching_position position = position_of(w);
    switching_wish wish = switching_wish_of(&standing);
    w->decisions++;
    if (wish == SWITCHING_WANT_OFF && !w->is_off) {
        if (position.has_unknown_off && !position.has_open_read && !position.has_fresh_look)
            issue(w, false, false);
        else
            propose_off(w);
        return;
    }
    if (wish == SWITCHING_WANT_ON && w->is_off) {
        set_desired(w, false, false);
        issue(w, false, true);
        return;
    }
    switch (switching_step_of(&position)) {
        case SWITCHING_SEND_ON: issue(w, false, true); break;
        case SWITCHING_READ_BACK: issue(w, false, false); break;
        case SWITCHING_PROPOSE_OFF: propose_off(w); break;
        case SWITCHING_REST: break;
    }
}

static void revert(world *w, const command *c) {
    if (w->is_off && c->version == w->version) set_desired(w, false, w->seen != SWITCHING_STATE_OFF);
}

static void look(world *w, switching_state seen, int64_t at) {
    if (at < w->seen_at) return;
    w->seen = seen;
    w->seen_at = at;
    for (size_t i = 0; i < w->command_count; i++) {
        command *c = &w->commands[i];
        if (!c->is_off || (c->state != SENT && c->state != NO_END) || c->sent_at >= at) continue;
        if (seen == SWITCHING_STATE_OFF) c->state = ENDED;
        if (seen == SWITCHING_STATE_ON && at - c->sent_at > 330000) {
            c->state = ENDED;
            revert(w, c);
        }
    }
    if ((seen == SWITCHING_STATE_OFF) == w->is_off && w->version > 0) w->is_verified = true;
}

static void take_result(world *w, const message *m) {
    command *c = &w->commands[m->command];
    if (c->state == ENDED && !c->is_off) return;
    if (m->seen != SWITCHING_STATE_UNKNOWN && !c->is_off) look(w, m->seen, m->at);
    if (!c->is_off) {
        c->state = ENDED;
        return;
    }
    if (c->state == ENDED) return;
    bool may_wait = m->is_uncertain && m->seen == SWITCHING_STATE_ON;
    switch (switching_end_of(true, may_wait ? SWITCHING_STATE_UNKNOWN : m->seen, c->sent_at > 0)) {
        case SWITCHING_END_UNKNOWN: c->state = NO_END; break;
        case SWITCHING_DONE:
            c->state = ENDED;
            look(w, m->seen, m->at);
            break;
        case SWITCHING_WITHOUT_EFFECT:
            c->state = ENDED;
            revert(w, c);
            break;
        case SWITCHING_AGAIN: fail_msg("a switch-off is never sent again");
    }
}

// Ingest's part: claims, sends, reads back; each of these may fail on its own.
static void take_order(world *w, const message *m) {
    command *c = &w->commands[m->command];
    int64_t lives = c->is_off ? 5 * MINUTE : 24 * 60 * MINUTE;
    if (c->state != ISSUED || w->now - c->issued_at > lives) return;  // a second delivery finds it taken
    if (!c->is_off) {
        post(w, (message){.kind = FRAME, .command = m->command, .at = w->now + lives}, MINUTE);
        return;
    }
    switching_facts facts = facts_of(w, c->version);
    w->decisions++;
    if (switching_refusal_of(&facts)) {
        c->state = ENDED;
        revert(w, c);
        return;
    }
    if (!may_be_cut_now(w)) fail_msg("a switch-off was claimed against the truth");
    c->state = SENT;
    c->sent_at = w->now;
    w->claims++;
    post(w, (message){.kind = FRAME, .command = m->command, .at = w->now + 5 * MINUTE}, 6 * MINUTE);
    if (!w->is_quiet && chance(w, 30))  // the link is lost: nobody saw an answer
        post(w, (message){.kind = RESULT, .command = m->command, .at = w->now, .is_uncertain = true}, MINUTE);
}

static void take_frame(world *w, const message *m) {
    const command *c = &w->commands[m->command];
    if (w->now > m->at) return;  // the meter's own clock refuses it
    if (c->is_off && w->is_relay_on) w->cuts++;
    if (c->is_off) w->is_relay_on = false;
    if (c->is_on && (w->is_quiet || chance(w, 80))) w->is_relay_on = true;
    switching_state seen = w->is_relay_on ? SWITCHING_STATE_ON : SWITCHING_STATE_OFF;
    post(w, (message){.kind = RESULT, .command = m->command, .seen = seen, .at = w->now}, 3 * MINUTE);
}

static void deliver(world *w) {
    for (size_t i = 0; i < w->message_count;) {
        message m = w->messages[i];
        if (m.due_at > w->now) {
            i++;
            continue;
        }
        w->messages[i] = w->messages[--w->message_count];
        switch (m.kind) {
            case ORDER: take_order(w, &m); break;
            case FRAME: take_frame(w, &m); break;
            case RESULT: take_result(w, &m); break;
            case OBSERVED: look(w, m.seen, m.at); break;
            case LOOK: break;
        }
        consider(w);
    }
}

static void disturb(world *w) {
    switch (below(w, 12)) {
        case 0:
        case 1:
            w->level = (int)below(w, 3);
            w->credit_at = w->now;
            break;
        case 2:
        case 3:
        case 4: w->level = 3; break;
        case 5: w->has_open_payment = !w->has_open_payment && chance(w, 30); break;
        case 6: w->in_window = chance(w, 70); break;
        case 7: w->is_warned = chance(w, 70); break;
        case 8: w->is_forced_on = chance(w, 15); break;
        case 9: w->is_frozen = chance(w, 10); break;
        case 10:  // by hand, or by itself
            w->is_relay_on = chance(w, 60);
            break;
        case 11: w->never_cut = chance(w, 5); break;
    }
    if (chance(w, 80)) w->reading_at = w->now;
    // An event about it, which may be lost, late or doubled; a poll that sees the relay; a forged doorbell says nothing.
    post(w, (message){.kind = LOOK}, 20 * MINUTE);
    post(w, (message){.kind = OBSERVED, .seen = w->is_relay_on ? SWITCHING_STATE_ON : SWITCHING_STATE_OFF, .at = w->now}, 30 * MINUTE);
}

static void pass(world *w, int64_t ms) {
    int64_t until = w->now + ms;
    while (w->now < until) {
        int64_t at = until;
        for (size_t i = 0; i < w->message_count; i++)
            if (w->messages[i].due_at < at) at = w->messages[i].due_at;
        w->now = at > w->now ? at : w->now + 1;
        deliver(w);
    }
}

// What ran out is ended by the keeper, as control does.
static void expire(world *w) {
    for (size_t i = 0; i < w->command_count; i++) {
        command *c = &w->commands[i];
        if (c->state == SENT && w->now - c->issued_at > 6 * MINUTE) c->state = NO_END;
        if (c->state != ISSUED || w->now - c->issued_at <= 6 * MINUTE || c->is_on) continue;
        c->state = ENDED;
        if (c->is_off) revert(w, c);
    }
}

static void live(world *w, uint64_t seed) {
    *w = (world){
        .random = seed, .now = 1000 * MINUTE, .is_relay_on = true, .seen = SWITCHING_STATE_UNKNOWN, .in_window = true, .is_warned = true};
    for (int i = 0; i < 60; i++) {
        if (chance(w, 60)) disturb(w);
        pass(w, below(w, 8 * MINUTE) + 1);
        expire(w);
        consider(w);
    }
    w->is_quiet = true;
    w->is_frozen = w->has_open_payment = false;
    for (int i = 0; i < 40; i++) {
        w->reading_at = w->now;
        post(w, (message){.kind = OBSERVED, .seen = w->is_relay_on ? SWITCHING_STATE_ON : SWITCHING_STATE_OFF, .at = w->now}, 1);
        pass(w, 2 * MINUTE);
        expire(w);
        consider(w);
    }
}

void no_wrong_switch_off_and_no_withheld_switch_on(void **state) {
    (void)state;
    const char *given = getenv("PENSTOCK_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20261121;
    int64_t wanted = getenv("PENSTOCK_TEST_LONG") ? DECISIONS_LONG : DECISIONS;
    int64_t decisions = 0, claims = 0, cuts = 0, worlds = 0, left_on = 0, left_off = 0;
    world *w = mem_new(1, sizeof *w);
    for (; decisions < wanted; worlds++) {
        live(w, seed + (uint64_t)worlds);
        decisions += w->decisions;
        claims += w->claims;
        cuts += w->cuts;
        uint64_t which = seed + (uint64_t)worlds;
        bool was_cut = w->version > 0;
        if (must_be_on(w) && was_cut && !w->is_relay_on) fail_msg("seed %llu: it is off and should be on", (unsigned long long)which);
        if (may_be_cut_now(w) && w->is_relay_on) fail_msg("seed %llu: it is on and should be off", (unsigned long long)which);
        if (w->is_relay_on)
            left_on++;
        else
            left_off++;
    }
    mem_free(w);
    printf("# seed %llu: %lld worlds, %lld decisions, %lld switch-offs claimed, %lld carried out; at the end %lld on, %lld off\n",
           (unsigned long long)seed, (long long)worlds, (long long)decisions, (long long)claims, (long long)cuts, (long long)left_on,
           (long long)left_off);
    // A world in which nothing is ever switched would prove nothing.
    assert_true(cuts * 400 > decisions);
    assert_true(left_on * 5 > worlds && left_off * 10 > worlds);
}
