// Writing a plan into the database, in the caller's transaction, and giving the simulator its configuration.
#pragma once

#include "crypto/password.h"
#include "crypto/secret_box.h"
#include "database.h"
#include "demo_plan.h"

#define DEMO_OPERATORS (2 * DEMO_COMPANIES)

// A manager and a viewer for each company.
typedef struct demo_operator {
    size_t company;
    const char *login;
    const char *role;
    char password[32];
    char hash[CRYPTO_PASSWORD_HASH_MAX];
} demo_operator;

typedef struct demo_load {
    db *conn;
    arena *memory;
    demo_plan *plan;
    const crypto_keyring *keyring;
    instant_ms now;
    int64_t partitions;
    demo_operator operators[DEMO_OPERATORS];
} demo_load;

// Everything but history and money: sets the companies' numbers in the plan.
err_t demo_write(demo_load *self) MUST_CHECK;

typedef struct demo_history {
    int64_t readings;
    int64_t blocks;
    int64_t sales;
    money_micro sold;
} demo_history;

// Hourly readings of all meters into the journal, and the sales that bring each balance where the plan wishes it once
// those readings are charged. Behind demo_write. The fault tells what does not fit together, when the error is not the
// database's.
err_t demo_history_write(demo_load *self, demo_history *out_history, fault *out_fault) MUST_CHECK;

// The simulator's configuration for a plan whose gateways are in the database.
err_t demo_fleet_text(db *conn, const demo_plan *plan, const crypto_keyring *keyring, arena *memory, buf *out, fault *out_fault) MUST_CHECK;

// Where sealed secrets belong: the additional data of their seal.
sv demo_gateway_secret_place(arena *memory, uuid gateway);
sv demo_meter_password_place(arena *memory, uuid meter);

#define DEMO_METER_PASSWORD "02000000"
#define DEMO_GATEWAY_SECRET_LEN 32

// One array of a set: the value of `expression` for each i below `count`.
#define DEMO_COLUMN(memory, type, count, expression)                        \
    ({                                                                      \
        type *column_ = ARENA_ARRAY((memory), type, (count) ? (count) : 1); \
        for (size_t i = 0; i < (count); i++) column_[i] = (expression);     \
        column_;                                                            \
    })
