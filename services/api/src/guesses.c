#include "guesses.h"

#include <pthread.h>

#include "base/check.h"
#include "base/mem.h"

#define ADDRESSES_MAX 4096
#define ADDRESS_TEXT_MAX 48

typedef struct guess {
    char address[ADDRESS_TEXT_MAX];
    int32_t failures;
    instant_ms first_at;
} guess;

struct guesses {
    pthread_mutex_t lock;
    size_t len;
    guess list[ADDRESSES_MAX];
};

guesses *guesses_new(void) {
    guesses *self = mem_new(1, sizeof *self);
    CHECK(pthread_mutex_init(&self->lock, NULL) == 0);
    return self;
}

void guesses_free(guesses *self) {
    if (self == NULL) return;
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

static guess *find(guesses *self, sv address) {
    for (size_t i = 0; i < self->len; i++)
        if (sv_equal(sv_of(self->list[i].address), address)) return &self->list[i];
    return NULL;
}

int64_t guesses_wait_ms(guesses *self, sv address, instant_ms now) {
    pthread_mutex_lock(&self->lock);
    guess *known = find(self, address);
    int64_t left_ms = known != NULL && known->failures >= GUESSES_PER_ADDRESS ? known->first_at + GUESS_WINDOW_MS - now : 0;
    pthread_mutex_unlock(&self->lock);
    return left_ms > 0 ? left_ms : 0;
}

// A free place, else that of the address whose window began first.
static guess *make_room(guesses *self) {
    if (self->len < ADDRESSES_MAX) return &self->list[self->len++];
    guess *oldest = &self->list[0];
    for (size_t i = 1; i < self->len; i++)
        if (self->list[i].first_at < oldest->first_at) oldest = &self->list[i];
    return oldest;
}

void guesses_add(guesses *self, sv address, instant_ms now) {
    if (address.len >= ADDRESS_TEXT_MAX) return;
    pthread_mutex_lock(&self->lock);
    guess *known = find(self, address);
    if (known == NULL) {
        known = make_room(self);
        sv_copy_truncated(address, known->address, sizeof known->address);
        known->failures = 0;
    }
    if (known->failures == 0 || now - known->first_at >= GUESS_WINDOW_MS) {
        known->first_at = now;
        known->failures = 0;
    }
    known->failures++;
    pthread_mutex_unlock(&self->lock);
}

void guesses_forget(guesses *self, sv address) {
    pthread_mutex_lock(&self->lock);
    guess *known = find(self, address);
    if (known != NULL) *known = self->list[--self->len];
    pthread_mutex_unlock(&self->lock);
}
