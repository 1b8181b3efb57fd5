// The arithmetic of penstockctl rate as sentences, one a line on stdout.
#pragma once

#include "contracts/texts.h"
#include "documents/tariff_document.h"
#include "documents/usage_document.h"
#include "rating/rating.h"

void rate_tell_indices(text_locale in, const tariff_document *document);
// What a usage costs; `amount_micro` is the money that bought it, or -1.
void rate_tell_quote(text_locale in, const tariff *tariff, const rating_usage *usage, const rating_quote *quote, money_micro amount_micro);
// One interval between two readings.
void rate_tell_interval(text_locale in, const tariff *tariff, const register_reading *from, const register_reading *to,
                        const rating_explanation *explained);
