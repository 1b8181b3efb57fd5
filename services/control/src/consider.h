// Looks at one point and brings it closer to what its standing conditions want. The same whatever the reason to look: an
// event, a timer, a result.
#pragma once

#include "subject.h"

err_t consider(subject *self) MUST_CHECK;
// Loads and considers; a point that does not exist is nothing to consider.
err_t consider_point(control_app *app, db *conn, int32_t company, int64_t point) MUST_CHECK;

// Decides about a switch-off for the cause whose facts are loaded and, where nothing stands against it, orders it.
// *out_refusal: what stands against it.
err_t consider_off(subject *self, const char *by, const uuid *request, switching_refusal *out_refusal) MUST_CHECK;
err_t consider_on(subject *self, const char *reason, const char *by, const uuid *request) MUST_CHECK;
err_t consider_read_back(subject *self, const uuid *request) MUST_CHECK;
