// What if another tariff had been in force: the stored usage of a property's points, charged as it is and under a tariff
// document, account by account.
//
//   AUTO_SIMULATION what = simulation_new(zones);
//   err_t err = simulation_find(what, conn, company, SV("lakeside"), &fault);
//   if (!err) err = simulation_try(what, conn, document, &fault);
//   if (!err) err = simulation_run(what, conn, from, to, now, &fault);
//   if (!err) simulation_write_table(simulation_answer(what), &out);
//
// All of it reads in one transaction of the caller's, best REPEATABLE READ, and writes nothing.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"
#include "calendar/zone.h"
#include "db/db.h"
#include "documents/zone_files.h"
#include "money/money.h"

// Amounts are micro-units of the currency, in 128 bits because they are sums; quantities are milli-units.
typedef struct simulated_account {
    int64_t num;
    sv number;
    sv customer;
    int128 quantity;
    int128 now;
    int128 then;
} simulated_account;

// A usage point whose usage is in no sum.
typedef struct simulated_omission {
    uuid usage_point;
    sv name;
    sv why;
} simulated_omission;

// Accounts whose difference has one sign, and its sum.
typedef struct simulated_group {
    size_t accounts;
    int128 difference;
} simulated_group;

typedef VEC(simulated_account) simulated_accounts;
typedef VEC(simulated_omission) simulated_omissions;

typedef struct simulated {
    int32_t company;
    int64_t property;
    uuid property_id;
    sv property_code;
    sv property_name;
    sv tariff_code;
    sv unit;
    currency currency;
    const zone *zone;
    instant_ms from;
    instant_ms to;
    simulated_accounts accounts;  // who pays most more comes first
    simulated_omissions omissions;
    int128 quantity, now, then;
    simulated_group more, less, same;
    size_t points;        // compared
    size_t points_short;  // of them: the last reading lies before `to`
    size_t readings;
} simulated;

typedef struct simulation simulation;

// `zones` must outlive it.
simulation *simulation_new(zone_set *zones);
void simulation_free(simulation *self);
void simulation_free_variable(simulation **self);
#define AUTO_SIMULATION __attribute__((cleanup(simulation_free_variable))) simulation *

// The property by id or code; `company` 0: of any company. ERR_NOT_FOUND, or ERR_CONFLICT when several companies have the
// code; else the database's error, then without a fault, here and below.
err_t simulation_find(simulation *self, db *conn, int32_t company, sv property, fault *out_fault) MUST_CHECK;
// The tariff, for the property found. ERR_BAD_INPUT, ERR_MALFORMED or ERR_TOO_LARGE with the place in the document, also
// when its zone or currency is not the property's.
err_t simulation_try(simulation *self, db *conn, sv document, fault *out_fault) MUST_CHECK;
// Compares [from, to) with setups as known at `known_at`. ERR_BAD_INPUT when the time is empty.
err_t simulation_run(simulation *self, db *conn, instant_ms from, instant_ms to, instant_ms known_at, fault *out_fault) MUST_CHECK;
// Lives as long as the simulation.
const simulated *simulation_answer(const simulation *self);

// For people: aligned, also where names are Chinese.
void simulation_write_table(const simulated *self, buf *out);
// RFC 4180 with a byte order mark; a text that a spreadsheet would take for a formula is led by an apostrophe.
void simulation_write_csv(const simulated *self, buf *out);
// One object; amounts and quantities are decimal text.
void simulation_write_json(const simulated *self, buf *out);
