// What a message says: the platform's words in the recipient's language, or a company's own.
#pragma once

#include "app.h"
#include "calendar/zone.h"
#include "kinds.h"

typedef struct message_words {
    sv subject, body;
    sv provider_template;  // empty: free text
} message_words;

// `parameters` is a JSON object of texts. A name that a company's template uses and the occasion lacks stays as it is.
err_t words_compose(db *conn, int32_t company, alert_kind kind, sv medium, sv locale, sv parameters, arena *memory,
                    message_words *out) MUST_CHECK;
// The parameters as a channel takes them: all of them, or those a company's template names, in its order.
err_t words_parameters(db *conn, int32_t company, sv kind, sv medium, sv locale, sv parameters, arena *memory, channel_parameter **out_list,
                       size_t *out_count, sv *out_provider_template) MUST_CHECK;

sv words_local_time(const zone *where, instant_ms at, arena *memory);  // "2026-11-21 14:05"
sv words_money(int64_t micro, sv currency, arena *memory);             // "12.50 CNY"
sv words_purpose(sv purpose, sv locale);                               // "electricity", "电费"
