#include "contracts/texts.h"

#include "base/check.h"

static const char *const TAGS[] = {
#define LOCALE(name, tag) tag,
#include "contracts/locales.def"
#undef LOCALE
};

static const sv PATTERNS[][LOCALE_COUNT] = {
#define TEXT(name, en, zh_cn) {[LOCALE_EN] = {"" en "", sizeof(en) - 1}, [LOCALE_ZH_CN] = {"" zh_cn "", sizeof(zh_cn) - 1}},
#include "contracts/texts.def"
#undef TEXT
};

const char *locale_tag(text_locale self) {
    CHECK(self < LOCALE_COUNT);
    return TAGS[self];
}

static sv primary_language(sv tag) {
    size_t dash = 0;
    return sv_find(tag, '-', &dash) ? (sv){tag.ptr, dash} : tag;
}

bool locale_parse(sv tag, text_locale *out_locale) {
    for (size_t i = 0; i < LOCALE_COUNT; i++) {
        if (!sv_equal_nocase(primary_language(tag), primary_language(sv_of(TAGS[i])))) continue;
        *out_locale = (text_locale)i;
        return true;
    }
    return false;
}

sv text_pattern(text_key self, text_locale in) {
    CHECK(self < TEXT_COUNT && in < LOCALE_COUNT);
    return PATTERNS[self][in];
}

void text_add(buf *out, text_key self, text_locale in, const sv *arguments, size_t count) {
    sv pattern = text_pattern(self, in);
    for (size_t i = 0; i < pattern.len; i++) {
        bool is_place = pattern.ptr[i] == '{' && i + 2 < pattern.len && pattern.ptr[i + 2] == '}';
        if (!is_place) {
            buf_add_byte(out, pattern.ptr[i]);
            continue;
        }
        size_t which = (size_t)(pattern.ptr[i + 1] - '0');
        CHECK(which < count);
        buf_add(out, arguments[which]);
        i += 2;
    }
}
