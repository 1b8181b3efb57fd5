// Tests of the packed day row, run by metering_test.c.
#pragma once

void day_rows_restore_every_reading(void **state);
void day_rows_hold_extreme_values(void **state);
void day_rows_are_small(void **state);
void day_rows_refuse_disorder_and_foreign_bytes(void **state);
void day_rows_merge_without_overwriting(void **state);
void day_rows_summarize_per_register(void **state);
