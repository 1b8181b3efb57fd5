// Files named on the command line, read whole and bounded.
#pragma once

#include "base/arena.h"
#include "base/sv.h"
#include "command.h"

// Tells on stderr what went wrong, with the file's name. "-" is stdin.
bool ctl_file_read(const char *path, size_t max_bytes, arena *memory, sv *out_text);
