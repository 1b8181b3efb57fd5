// Rates cases for the comparison with the second implementation. One case is three kinds of lines on stdin:
//   T <tariff document on one line>
//   R <milliseconds> <milli-units>      readings of a cumulative register, in order
//   .                                   end of the case
// and one line on stdout: the amounts charged at each reading but the first, in millionths, separated by spaces; or
// "! <place>: <reason>".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "documents/tariff_document.h"
#include "documents/zone_files.h"
#include "rating/rating.h"

typedef struct driver {
    zone_set *zones;
    tariff_document *document;
    rating_cache *cache;
    rating_state state;
    bool has_previous;
    instant_ms at;
    int64_t value;
    fault why;
    buf answer;
} driver;

static void begin(driver *self, sv json) {
    tariff_document_free(self->document);
    self->document = NULL;
    self->has_previous = false;
    self->why = (fault){0};
    buf_clear(&self->answer);
    rating_state_init(&self->state);
    rating_cache_free(self->cache);
    self->cache = rating_cache_new(64);
    tariff_reading how = {.version = 1, .use = TARIFF_FOR_CHARGING, .zones = self->zones};
    (void)!tariff_document_read(json, &how, &self->document, &self->why);
}

static void take_reading(driver *self, sv text) {
    sv first;
    int64_t at;
    int64_t value;
    if (!sv_next(&text, ' ', &first) || !sv_to_i64(first, &at) || !sv_to_i64(text, &value)) exit(2);
    if (self->has_previous && self->document && !self->why.err) {
        rating_interval interval = {.from = self->at, .to = at, .quantity_milli = value - self->value};
        rating_result result;
        rating_answer answer = rating_charge(tariff_document_tariff(self->document), self->cache, &self->state, &interval, &result, NULL);
        if (answer != RATING_OK)
            fault_set(&self->why, ERR_BAD_INPUT, "rating", "%s", rating_answer_text(answer));
        else
            buf_addf(&self->answer, "%s%lld", self->answer.len ? " " : "", (long long)result.amount_micro);
    }
    self->has_previous = true;
    self->at = at;
    self->value = value;
}

static void end_case(driver *self) {
    if (self->why.err)
        printf("! %s: %s\n", self->why.place, self->why.reason);
    else
        printf("%s\n", buf_cstr(&self->answer));
    fflush(stdout);
}

int main(void) {
    driver self = {.zones = zone_set_new(SV(ZONE_FILES_FOLDER))};
    buf_init(&self.answer, 1 << 20);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    while ((len = getline(&line, &capacity, stdin)) > 0) {
        sv text = sv_trim((sv){line, (size_t)len});
        if (sv_starts_with(text, SV("T ")))
            begin(&self, sv_skip(text, 2));
        else if (sv_starts_with(text, SV("R ")))
            take_reading(&self, sv_skip(text, 2));
        else if (sv_equal(text, SV(".")))
            end_case(&self);
    }
    free(line);
    tariff_document_free(self.document);
    rating_cache_free(self.cache);
    zone_set_free(self.zones);
    buf_done(&self.answer);
    return 0;
}
