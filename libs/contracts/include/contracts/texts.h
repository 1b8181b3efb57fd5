// Sentences the platform says to people, in each language it speaks: one table, so that no screen, message or report
// words a thing twice. Placeholders {0} … {9} take the arguments in order.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/sv.h"

typedef enum text_locale {
#define LOCALE(name, tag) LOCALE_##name,
#include "contracts/locales.def"
#undef LOCALE
    LOCALE_COUNT
} text_locale;

typedef enum text_key {
#define TEXT(name, en, zh_cn) TEXT_##name,
#include "contracts/texts.def"
#undef TEXT
    TEXT_COUNT
} text_key;

const char *locale_tag(text_locale self);
// "zh-CN", "zh", "en", "en-GB": by primary language, without regard to case.
bool locale_parse(sv tag, text_locale *out_locale);

// The sentence with its placeholders.
sv text_pattern(text_key self, text_locale in);
// Appends the sentence. A placeholder without an argument is a bug.
void text_add(buf *out, text_key self, text_locale in, const sv *arguments, size_t count);
