// What a meter on a bus answered, on its way to the journal and to the last values.
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "links/dtu.h"

// Lives until the journal has answered.
typedef struct submission {
    journal_entry entry;
    ingest *app;
    journal_record records[8];
    refusal refusal;
    char place[64];
    uint8_t raw[DLT645_DATA_MAX];
    bool has_order;
    line_order order;
    metric *unjournaled;
} submission;

static void journaled(journal_entry *entry, err_t result) {
    submission *self = entry->owner;
    if (result) metric_add(self->unjournaled, (int64_t)entry->record_count);
    if (self->has_order) {
        line_result told = line_result_of(&self->order, result ? LINE_FAILED : LINE_VERIFIED, result ? err_name(result) : NULL);
        told.at = self->records[0].record.at;
        dispatcher_result(self->app->dispatcher, &told);
    }
    mem_free(self);
}

static submission *submission_new(dtu_link *link) {
    submission *self = mem_new(1, sizeof *self);
    self->app = link->owner->app;
    self->unjournaled = link->owner->count.unjournaled;
    self->entry = (journal_entry){.gateway = link->gateway, .records = self->records, .done = journaled, .owner = self};
    return self;
}

static void submit(submission *self) {
    err_t err = journal_submit(self->app->journal, &self->entry);
    if (err) journaled(&self->entry, err);  // the meter still has it: the next poll brings a newer one
}

void dtu_poll_journal(dtu_link *link, dtu_meter *meter, const dtu_job *job) {
    submission *self = submission_new(link);
    self->has_order = job->is_urgent;
    self->order = job->order;
    for (size_t i = 0; i < job->value_count; i++)
        self->records[self->entry.record_count++] = (journal_record){.partition = meter->meter->partition,
                                                                     .record = {.channel = meter->channel,
                                                                                .at = job->energy_at,
                                                                                .value = job->values[i].value,
                                                                                .reg = job->values[i].reg,
                                                                                .quality = QUALITY_MEASURED,
                                                                                .flags = job->is_urgent ? READING_ON_DEMAND : 0,
                                                                                .company = meter->meter->company}};
    quota_spend(self->app->quota, meter->meter->company, (int64_t)job->value_count);
    submit(self);
}

void dtu_poll_refuse(dtu_link *link, const dtu_meter *meter, const dlt645_frame *frame, refusal_reason reason) {
    submission *self = submission_new(link);
    char address[DLT645_ADDRESS_TEXT_LEN + 1];
    dlt645_address_format(meter->address, address);
    AUTO(buf) place;
    buf_init(&place, sizeof self->place - 1);
    buf_addf(&place, "meter %s item %08X", address, dtu_frame_item(&link->asked));
    sv_copy_truncated(buf_view(&place), self->place, sizeof self->place);
    memcpy(self->raw, frame->data, frame->len);
    self->refusal = (refusal){.company = meter->meter->company,
                              .gateway = link->gateway->num,
                              .reason = reason,
                              .place = sv_of(self->place),
                              .raw = sv_slice(self->raw, frame->len)};
    self->entry.refusals = &self->refusal;
    self->entry.refusal_count = 1;
    submit(self);
}

void dtu_poll_values(dtu_link *link, const dtu_meter *meter, const dlt645_message *message, instant_ms at) {
    for (size_t i = 0; i < message->value_count; i++) {
        last_value value = {
            .channel = meter->channel, .read_at = at, .received_at = at, .company = meter->meter->company, .quality = QUALITY_MEASURED};
        if (dlt645_value_register(&message->values[i], &value.reg, &value.value)) presence_value(link->owner->app->presence, &value);
    }
}
