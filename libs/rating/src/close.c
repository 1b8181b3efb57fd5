// The lines that post at the close of a window, for a window that was charged without them.
#include "base/check.h"
#include "price.h"

rating_answer rating_close(const tariff *self, const rating_state *state, const rating_closing *closing, money_micro *out_amount) {
    if (state->version != self->version || state->periods != self->periods || state->steps != self->steps) return RATING_STATE_MISMATCH;
    if (self->needs_closing && !closing) return RATING_INPUT_MISSING;
    rating_state copy = *state;
    window_pricing pricing = {
        .tariff = self, .state = &copy, .used = rating_state_used_milli(state), .is_closing = self->has_closing_lines, .closing = closing};
    money_micro price;
    if (pricing.used > self->quantity_limit_milli || !price_window(&pricing, &copy, &price)) return RATING_TOO_LARGE;
    return money_subtract(price, state->charged_micro, out_amount) ? RATING_OK : RATING_TOO_LARGE;
}
