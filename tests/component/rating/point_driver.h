// A usage point as billing keeps it, fed line by line: readings in whatever order they arrive, versions and holders that
// change in between. What arrives late, is put right or is taken back is charged again from the last checkpoint before it.
#pragma once

#include "base/buf.h"
#include "documents/tariff_document.h"
#include "documents/zone_files.h"
#include "rating/rating.h"

typedef struct point_driver point_driver;

point_driver *point_driver_new(zone_set *zones);
void point_driver_free(point_driver *self);

// Each takes the rest of its line; a fault stays in `why` until the next point begins.
void point_begin(point_driver *self, sv rest);         // <zone> <first instant> <period,… of the registers>
void point_take_indices(point_driver *self, sv rest);  // index,month,value,provisional;…
void point_take_version(point_driver *self, sv rest);  // <from> <tariff document>
void point_take_holder(point_driver *self, sv rest);   // <account> <from> <to> <opened at> <from:heads,…>
void point_take_closing(point_driver *self, const rating_closing *closing);
void point_take_reading(point_driver *self, sv rest);        // <at> <value> <register,…>
void point_remove_reading(point_driver *self, sv rest);      // <at>
void point_take_final_indices(point_driver *self, sv rest);  // as the indices; everything is charged again
// Charges all readings once more in order, which must come to the same bit for bit, and adds "amount … ; closing amount …".
void point_tell(point_driver *self, buf *out, fault *out_why);
