// A world in which everything comes late, twice, in the wrong order or forged: see world_test.c.
#pragma once

void no_wrong_switch_off_and_no_withheld_switch_on(void **state);
