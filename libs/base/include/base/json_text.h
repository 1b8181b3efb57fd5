// Writing JSON text into a buf: escaping only, no tree. Parsing is the json library's.
#pragma once

#include "base/buf.h"

// Adds `text` as a quoted JSON string. Bytes that are not UTF-8 become U+FFFD.
void json_text_add(buf *out, sv text);
