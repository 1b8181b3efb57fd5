// Inflating what somebody else compressed, never beyond a bound. The only user of zlib.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/sv.h"

// Appends the content of one gzip member (RFC 1952) to `out`, at most what `out` still has room for.
// ERR_TOO_LARGE: it would inflate beyond out's maximum. ERR_MALFORMED: no gzip, damaged, cut off, or bytes behind its
// end. On an error `out` holds what it held before.
MUST_CHECK err_t zip_gunzip(sv packed, buf *out, fault *out_fault);

// Appends `plain` as one gzip member. ERR_TOO_LARGE when `out` has no room.
MUST_CHECK err_t zip_gzip(sv plain, buf *out);
