// What every channel's configuration needs: text members, and addresses that are TLS or of this machine.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/sv.h"
#include "json/json.h"

// A member that must be there; its text lives in the arena.
sv config_text(json_reader *reader, const json_node *root, const char *key, size_t max, arena *memory);
sv config_text_or(json_reader *reader, const json_node *root, const char *key, size_t max, const char *fallback, arena *memory);
// https://…, or http:// to a loopback address; refuses the node otherwise.
sv config_url(json_reader *reader, const json_node *root, const char *key, const char *fallback, arena *memory);
