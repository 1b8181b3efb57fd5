// Which gateways and meters there are: a copy of what ingest needs of `core`, kept fresh by each company's change
// number. Readers hold the read lock while they look; entries are never freed, so a pointer stays valid, and what may
// change in an entry is read under the lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/sv.h"
#include "base/vec.h"
#include "service/service.h"

typedef struct registry registry;

#define GATEWAY_SECRET_MAX 64
#define GATEWAY_TEXT_MAX 80
#define BUS_ADDRESS_MAX 20
#define CHANNELS_MAX 36
#define METER_SERIAL_MAX 31  // longer ones are cut: only twelve digits are ever compared

typedef enum gateway_kind { GATEWAY_DTU_TCP, GATEWAY_HTTP_PUSH } gateway_kind;
typedef enum meter_protocol { METER_DLT645, METER_PUSH } meter_protocol;

// A device's contact is written at most this often, or each third of its interval if that is longer.
#define CONTACT_WRITE_MS 20000

// What presence.c remembers about a device; guarded by its lock.
typedef struct contact {
    instant_ms known_at;             // when this process learned of it
    instant_ms seen_at;              // 0: not heard by this process
    instant_ms written_at;           // the newest seen_at that is in the database
    _Atomic int32_t write_every_ms;  // set with the configuration
    bool is_listed;                  // waits to be written
    instant_ms doubted_at;           // when silence was last looked into and another replica had heard it
    bool is_lost;                    // as far as this process knows
} contact;

typedef struct registry_meter registry_meter;

typedef struct registry_gateway {
    int64_t num;
    int32_t company;
    int64_t property;
    gateway_kind kind;
    bool is_disabled;
    int32_t heartbeat_s;
    int32_t poll_interval_s;  // own or the property's
    int32_t max_meters;
    char registration[GATEWAY_TEXT_MAX];
    char allowed_sources[400];  // networks joined by commas; empty: any
    char key_id[GATEWAY_TEXT_MAX];
    uint8_t secret[GATEWAY_SECRET_MAX];
    size_t secret_len;  // 0: none, or it could not be opened
    VEC(registry_meter *) meters;
    uint32_t meters_version;  // rises when `meters` or one of them changes
    bool has_counter;         // its row of gateway_counter is known to exist; the journal's
    contact contact;
} registry_gateway;

struct registry_meter {
    int64_t num;
    int32_t company;
    int64_t property;
    int16_t partition;
    registry_gateway *gateway;  // NULL: removed
    int16_t port;
    meter_protocol protocol;
    int32_t poll_interval_s;
    instant_ms installed_at;
    char bus_address[BUS_ADDRESS_MAX + 1];
    char serial[METER_SERIAL_MAX + 1];
    uint8_t channel_count;    // places in `channels`
    int64_t first_channel;    // nearly every meter has one only: no list of its own for that
    int64_t *channels;        // by ordinal - 1, from the second on; an element may be 0: none
    _Atomic uint32_t credit;  // credit.c's: how near the end, and when that was seen
    contact contact;
};

// The master key file opens the secrets of pushing gateways; "": none is there, and they are refused. NULL with a fault.
registry *registry_new(service *svc, const char *master_key_file, fault *out_fault);
void registry_free(registry *self);

// Loads what changed; the first call loads everything. Called by the registry's own thread only.
err_t registry_refresh(registry *self, db *conn) MUST_CHECK;
// The thread: LISTENs, refreshes each second or when told. ready once loaded.
void registry_run(service *svc, void *self);
bool registry_is_loaded(const registry *self);

void registry_read_lock(registry *self);
void registry_unlock(registry *self);

// All under the read lock. NULL: there is none.
registry_gateway *registry_gateway_by_key(const registry *self, sv key_id);
registry_gateway *registry_gateway_by_registration(const registry *self, sv registration);
registry_gateway *registry_gateway_by_num(const registry *self, int64_t num);
registry_meter *registry_meter_by_num(const registry *self, int64_t num);
registry_meter *registry_meter_at(const registry *self, const registry_gateway *gateway, int16_t port, sv bus_address);

// The channel's number, 0 for none. `ordinal` counts from 1.
int64_t registry_channel(const registry_meter *meter, int ordinal);

// Opens a meter's control password (level and three bytes). False when it cannot be opened or is none.
bool registry_open_password(const registry *self, int32_t company, uuid meter, sv sealed, uint8_t *out_level, uint8_t out_password[3]);

// Visits every gateway and meter in use, for the watch over silence.
void registry_each(registry *self, void *context, void (*gateway)(void *context, registry_gateway *),
                   void (*meter)(void *context, registry_meter *));
size_t registry_meter_count(const registry *self);
