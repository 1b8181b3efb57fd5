// Failed log-ins by address, in the memory of this process: a bounded table that forgets the oldest. Thread-safe.
#pragma once

#include "base/instant.h"
#include "base/sv.h"

typedef struct guesses guesses;

#define GUESS_WINDOW_MS (15 * MINUTE_MS)
#define GUESSES_PER_ADDRESS 50

guesses *guesses_new(void);
void guesses_free(guesses *self);
// Milliseconds the address has to wait; 0: it may try.
int64_t guesses_wait_ms(guesses *self, sv address, instant_ms now);
void guesses_add(guesses *self, sv address, instant_ms now);
void guesses_forget(guesses *self, sv address);
