#include "bulk_file.h"

#include "money/decimal.h"

#define FIELDS 4
#define FIELD_MAX 80

static sv trim_end(sv line) {
    while (line.len > 0 && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == ' ')) line.len--;
    return line;
}

// One field from the front of *rest; a doubled quote inside quotes is one. False when quotes do not close.
static bool take_field(sv *rest, arena *memory, sv *out) {
    if (rest->len == 0 || rest->ptr[0] != '"') return sv_next(rest, ',', out) || (*out = SV(""), true);
    char *copy = ARENA_ARRAY(memory, char, rest->len);
    size_t len = 0;
    for (size_t i = 1; i < rest->len; i++) {
        if (rest->ptr[i] != '"') {
            copy[len++] = rest->ptr[i];
            continue;
        }
        bool is_doubled = i + 1 < rest->len && rest->ptr[i + 1] == '"';
        if (is_doubled) {
            copy[len++] = '"';
            i++;
            continue;
        }
        bool ends = i + 1 == rest->len || rest->ptr[i + 1] == ',';
        *out = sv_slice(copy, len);
        *rest = i + 2 < rest->len ? sv_slice(rest->ptr + i + 2, rest->len - i - 2) : SV("");
        return ends;
    }
    return false;
}

static void read_row(sv line, arena *memory, bulk_row *out) {
    sv fields[FIELDS] = {SV(""), SV(""), SV(""), SV("")};
    *out = (bulk_row){.account = SV(""), .purpose = SV(""), .reference = SV("")};
    for (size_t i = 0; i < FIELDS; i++) {
        if (!take_field(&line, memory, &fields[i])) {
            out->problem = "a quote does not close";
            return;
        }
        if (fields[i].len > FIELD_MAX) {
            out->problem = "a field is longer than 80 bytes";
            return;
        }
    }
    out->account = fields[0];
    out->purpose = fields[1];
    out->reference = fields[3];
    if (line.len > 0) out->problem = "there are more than four fields";
    decimal_answer answer = decimal_parse(fields[2], MONEY_SCALE, &out->amount);
    if (!out->problem && answer != DECIMAL_OK) out->problem = decimal_answer_text(answer);
    if (!out->problem && out->amount <= 0) out->problem = "the amount must be above zero";
    if (out->problem) out->amount = 0;
}

static err_t read_header(sv *text, fault *out_fault) {
    sv line = SV_NONE;
    if (sv_starts_with(*text, SV("\xEF\xBB\xBF"))) *text = sv_slice(text->ptr + 3, text->len - 3);
    bool is_ours = sv_next(text, '\n', &line) && sv_equal(trim_end(line), SV("account,purpose,amount,reference"));
    return is_ours ? ERR_OK : fault_set(out_fault, ERR_BAD_INPUT, "/csv", "line 1: it must be account,purpose,amount,reference");
}

err_t bulk_file_read(sv text, arena *memory, bulk_row **out_rows, size_t *out_count, fault *out_fault) {
    *out_count = 0;
    if (!sv_is_utf8(text)) return fault_set(out_fault, ERR_BAD_INPUT, "/csv", "the file is not UTF-8");
    err_t err = read_header(&text, out_fault);
    if (err) return err;
    *out_rows = ARENA_ARRAY(memory, bulk_row, BULK_ROWS_MAX);
    sv line = SV_NONE;
    while (sv_next(&text, '\n', &line)) {
        line = trim_end(line);
        if (line.len == 0) continue;
        if (*out_count == BULK_ROWS_MAX) return fault_set(out_fault, ERR_BAD_INPUT, "/csv", "a file has at most %d rows", BULK_ROWS_MAX);
        read_row(line, memory, &(*out_rows)[(*out_count)++]);
    }
    return *out_count > 0 ? ERR_OK : fault_set(out_fault, ERR_BAD_INPUT, "/csv", "line 2: the file has no rows");
}
