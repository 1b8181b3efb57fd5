#include "zip/zip.h"

#include <string.h>
#include <zlib.h>

#include "base/check.h"
#include "base/mem.h"

#define GZIP_WINDOW (15 + 16)  // zlib: the largest window, gzip header and trailer
#define PIECE 16384

static void stream_auto(z_stream *stream) { (void)inflateEnd(stream); }

err_t zip_gunzip(sv packed, buf *out, fault *out_fault) {
    __attribute__((cleanup(stream_auto))) z_stream stream = {0};
    size_t before = out->len;
    if (packed.len > UINT32_MAX) return fault_set(out_fault, ERR_TOO_LARGE, "body", "more than 4 GiB");
    CHECK(inflateInit2(&stream, GZIP_WINDOW) == Z_OK);
    stream.next_in = (z_const Bytef *)packed.ptr;
    stream.avail_in = (uInt)packed.len;
    int state = Z_OK;
    while (state == Z_OK) {
        uint8_t piece[PIECE];
        stream.next_out = piece;
        stream.avail_out = sizeof piece;
        state = inflate(&stream, Z_NO_FLUSH);
        size_t got = sizeof piece - stream.avail_out;
        if (got > out->max - out->len) {
            out->len = before;
            return fault_set(out_fault, ERR_TOO_LARGE, "body", "inflates beyond %zu bytes", out->max);
        }
        buf_add(out, sv_slice(piece, got));
        if (state == Z_BUF_ERROR && got > 0 && stream.avail_in > 0) state = Z_OK;
    }
    if (state == Z_STREAM_END && stream.avail_in == 0) return ERR_OK;
    out->len = before;
    return fault_set(out_fault, ERR_MALFORMED, "body",
                     state == Z_STREAM_END ? "bytes behind the end of the gzip data" : "no whole gzip data");
}

static void deflate_auto(z_stream *stream) { (void)deflateEnd(stream); }

err_t zip_gzip(sv plain, buf *out) {
    __attribute__((cleanup(deflate_auto))) z_stream stream = {0};
    size_t before = out->len;
    CHECK(plain.len <= UINT32_MAX);
    CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    stream.next_in = (z_const Bytef *)plain.ptr;
    stream.avail_in = (uInt)plain.len;
    int state = Z_OK;
    while (state == Z_OK) {
        uint8_t piece[PIECE];
        stream.next_out = piece;
        stream.avail_out = sizeof piece;
        state = deflate(&stream, Z_FINISH);
        buf_add(out, sv_slice(piece, sizeof piece - stream.avail_out));
    }
    CHECK(state == Z_STREAM_END);
    if (!buf_has_failed(out)) return ERR_OK;
    out->len = before;
    return ERR_TOO_LARGE;
}
