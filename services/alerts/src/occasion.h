// Something happened that somebody may have to be told: from the fact to the queued messages, in the transaction of the
// fact. Telling it twice is harmless: an episode opens once, and a message's id follows from what it tells.
#pragma once

#include "app.h"
#include "kinds.h"

typedef struct occasion {
    alert_kind kind;
    int32_t company;
    int64_t subject;  // num the episode is about
    int64_t version;
    instant_ms at;
    const char *around;  // what `around_num` is: account, usage_point, channel, meter, gateway, property
    int64_t around_num;
    int64_t purse, level;  // of a credit level; 0 otherwise
    sv purpose, amount;    // text for people; may be empty
    sv detail;             // likewise
    uuid event;            // of the fact; ids of momentary messages follow from it
    sv group;              // messages of one group to one address become one; may be empty
} occasion;

// Opens or touches the episode of a standing kind; tells it when it is new, or when the kind is momentary.
err_t occasion_tell(alerts_app *app, db *conn, const occasion *self, arena *memory, fault *out_fault) MUST_CHECK;
err_t occasion_end(db *conn, int32_t company, alert_kind kind, int64_t subject, instant_ms at) MUST_CHECK;

// One message to one customer by the first channel of `chain` that he has an address for; false: none.
typedef struct message_draft {
    uuid id;
    alert_kind kind;
    int32_t company;
    int64_t episode, property, account, customer, purse, level;
    sv chain;       // channels still to be tried, in order
    sv parameters;  // JSON object of texts
    sv body_sealed;
    instant_ms queued_at, not_before, expires_at;
    int32_t per_day_max;  // 0: no limit
} message_draft;

err_t draft_queue(db *conn, const message_draft *self, arena *memory, bool *out_is_queued, fault *out_fault) MUST_CHECK;
// Tells the feed of the api that a message moved on.
err_t message_announce(db *conn, int32_t company, int64_t num, uuid id, sv kind, sv medium, sv state, int64_t property, int64_t account,
                       instant_ms at, arena *memory) MUST_CHECK;
