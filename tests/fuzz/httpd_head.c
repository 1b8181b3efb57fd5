// Any bytes, in pieces whose sizes they choose themselves: the reader neither crashes nor reads past its bounds, gives
// the same verdict for the whole as for the pieces, and what it accepts can be looked up and decoded.
#include <stdint.h>

#include "../../libs/httpd/src/reader.h"
#include "../../libs/httpd/src/uri.h"
#include "base/check.h"

typedef struct verdict {
    refusal why;
    bool is_complete;
    size_t body_len;
    size_t left;
} verdict;

static verdict read_request(sv text, size_t piece) {
    reader in;
    reader_init(&in, (reader_limits){.head_max = 2048, .fields_max = 20, .arena_max = 65536});
    verdict got = {0};
    size_t at = 0;
    reader_step step = READER_MORE;
    while (step != READER_COMPLETE && step != READER_REFUSED && at < text.len) {
        sv bytes = {text.ptr + at, text.len - at < piece ? text.len - at : piece};
        size_t given = bytes.len;
        step = reader_feed(&in, &bytes);
        if (step == READER_HEAD) {
            reader_accept_body(&in, 1024);
            step = reader_feed(&in, &bytes);
        }
        at += given - bytes.len;
    }
    CHECK(in.body.len <= 1024 && in.text.len <= 2048);
    got.is_complete = step == READER_COMPLETE;
    got.why = step == READER_REFUSED ? in.why : REFUSAL_NONE;
    if (got.is_complete) {
        got.body_len = in.body.len;
        got.left = text.len - at;
        sv value;
        (void)uri_decode(in.head.path, false, in.memory, &value);
        (void)uri_query_find(in.head.query, SV("cursor"), in.memory, &value);
        (void)uri_cookie_find(head_field_of(&in.head, SV("cookie")), SV("session"), &value);
    }
    reader_done(&in);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    sv text = sv_slice(data + 1, size - 1);
    verdict whole = read_request(text, size);
    verdict pieces = read_request(text, 1u + data[0] % 16u);
    CHECK(whole.is_complete == pieces.is_complete && whole.why == pieces.why);
    CHECK(whole.body_len == pieces.body_len && whole.left == pieces.left);
    return 0;
}
