// Runs bytes written as hex through the scanner and keeps what it reported.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/dlt645.h"

#define RECORDING_EVENTS_MAX 64

typedef struct recording {
    size_t count;
    dlt645_event events[RECORDING_EVENTS_MAX];
} recording;

// Hex with blanks; returns the number of bytes.
size_t hex_bytes(const char *text, uint8_t *out, size_t capacity);
// Feeds `len` bytes in pieces of `piece` and then silence.
void recording_run(recording *self, const uint8_t *bytes, size_t len, size_t piece);

void frames_survive_any_segmentation(void **state);
void two_cuts_anywhere_change_nothing(void **state);
void preambles_of_any_length_are_accepted(void **state);
void garbage_is_skipped_and_counted(void **state);
void broken_frames_are_named(void **state);
void silence_ends_a_truncated_frame(void **state);
void noise_is_bounded_and_reported(void **state);
