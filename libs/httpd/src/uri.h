// Percent-encoding (RFC 3986 §2.1), queries and cookies. Pure.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/sv.h"

// Decodes into `memory`; refuses an incomplete escape, a NUL and what is not UTF-8 afterwards.
bool uri_decode(sv text, bool plus_is_space, arena *memory, sv *out_text);
// The first parameter of that name; a value that cannot be decoded is given as it was sent.
bool uri_query_find(sv query, sv name, arena *memory, sv *out_value);
// RFC 6265 §5.4: pairs separated by ';'. Values are taken as they are, without surrounding quotes.
bool uri_cookie_find(sv cookies, sv name, sv *out_value);
