// Each statement is prepared once per connection, under its own name, and asked once for its parameter types.
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "db_internal.h"

static prepared *slot_of(db *self, const db_statement *statement) {
    size_t at = ((uintptr_t)statement / sizeof(void *)) * 2654435761u % PREPARED_SLOTS;
    while (self->slots[at].statement && self->slots[at].statement != statement) at = (at + 1) % PREPARED_SLOTS;
    return &self->slots[at];
}

static err_t prepare_now(db *self, const db_statement *statement, prepared *slot) {
    snprintf(slot->name, sizeof slot->name, "%zu_%.50s", self->prepared_count, statement->name);
    if (!PQsendPrepare(self->pg, slot->name, statement->text, 0, NULL)) return db_note_error(self, NULL);
    PGresult *result = NULL;
    err_t err = db_flush(self);
    if (!err) err = db_finish(self, &result);
    if (err) return err;
    PQclear(result);
    if (!PQsendDescribePrepared(self->pg, slot->name)) return db_note_error(self, NULL);
    err = db_flush(self);
    if (!err) err = db_finish(self, &result);
    if (err) return err;
    slot->param_count = PQnparams(result);
    slot->param_oids = mem_new((size_t)slot->param_count + 1, sizeof *slot->param_oids);
    for (int i = 0; i < slot->param_count; i++) slot->param_oids[i] = PQparamtype(result, i);
    PQclear(result);
    slot->statement = statement;
    self->prepared_count++;
    return ERR_OK;
}

err_t db_prepared(db *self, const db_statement *statement, prepared **out_prepared) {
    prepared *slot = slot_of(self, statement);
    if (!slot->statement) {
        CHECK(self->prepared_count < PREPARED_SLOTS / 2);
        err_t err = prepare_now(self, statement, slot);
        if (err) return err;
    }
    *out_prepared = slot;
    return ERR_OK;
}

void db_forget_prepared(db *self) {
    if (!self->slots) return;
    for (size_t i = 0; i < PREPARED_SLOTS; i++) {
        mem_free(self->slots[i].param_oids);
        self->slots[i] = (prepared){0};
    }
    self->prepared_count = 0;
}

err_t db_describe(db *self, const db_statement *statement, int *out_params, int *out_columns) {
    *out_params = *out_columns = 0;
    if (strncmp(statement->text, "copy ", 5) == 0) return ERR_OK;
    prepared *slot = NULL;
    err_t err = db_prepared(self, statement, &slot);
    if (err) return err;
    if (!PQsendDescribePrepared(self->pg, slot->name)) return db_note_error(self, NULL);
    PGresult *result = NULL;
    err = db_flush(self);
    if (!err) err = db_finish(self, &result);
    if (err) return err;
    *out_params = PQnparams(result);
    *out_columns = PQnfields(result);
    PQclear(result);
    return ERR_OK;
}
