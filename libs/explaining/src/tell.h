// The second half of an explanation: what a stretch did to the usage matrix.
#pragma once

#include "explaining/explaining.h"

// Fills lines, pieces, window and sums of `out` from the states before and after the stretch and its trace.
err_t explaining_tell(explanation *out, const tariff *by, const rating_state *before, const rating_state *after, const rating_trace *trace,
                      sv document, arena *memory, fault *out_fault) MUST_CHECK;

// The same of the close of a window: its lines without and with what posts then. `due` is what they add.
err_t explaining_tell_close(explanation *out, const tariff *by, const rating_state *state, money_micro due, sv document, arena *memory,
                            fault *out_fault);
