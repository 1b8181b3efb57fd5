// The second half of effects_post, and what the lanes share of it.
#pragma once

#include "effects.h"

err_t effects_post_rare(const effects *self, db *conn, fault *out_fault) MUST_CHECK;
err_t replay_rows_put(db *conn, arena *memory, const replay_row *rows, size_t n, instant_ms now) MUST_CHECK;
