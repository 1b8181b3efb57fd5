#include "ledger/ledger.h"

#include "base/mem.h"

typedef enum owner { OWNER_PURSE, OWNER_ACCOUNT, OWNER_CHANNEL, OWNER_LEGAL_ENTITY } owner;

static const struct {
    const char *name;
    owner owner;
    bool has_item;
} CLASSES[] = {
#define ACCOUNT_CLASS(number, name, text, owner, has_item) [number] = {text, OWNER_##owner, has_item},
#include "ledger/account_classes.def"
#undef ACCOUNT_CLASS
};

static const char *const KINDS[] = {
#define TRANSFER_KIND(number, name, text, meaning) [number] = (text),
#include "ledger/transfer_kinds.def"
#undef TRANSFER_KIND
};

static const char *const PURPOSES[] = {
#define PURPOSE(number, name, text) [number] = (text),
#include "ledger/purposes.def"
#undef PURPOSE
};

static const char *const LEVELS[] = {
#define CREDIT_LEVEL(number, name, text) [number] = (text),
#include "ledger/credit_levels.def"
#undef CREDIT_LEVEL
};

static const char *name_at(const char *const *names, size_t len, int32_t number) {
    return number >= 0 && (size_t)number < len && names[number] ? names[number] : "";
}

const char *transfer_kind_name(int32_t kind) { return name_at(KINDS, ARRAY_LEN(KINDS), kind); }

const char *purpose_name(int32_t number) { return name_at(PURPOSES, ARRAY_LEN(PURPOSES), number); }

const char *credit_level_name(int32_t level) { return name_at(LEVELS, ARRAY_LEN(LEVELS), level); }

static bool class_is_known(int32_t class) { return class > 0 && (size_t) class < ARRAY_LEN(CLASSES); }

const char *account_class_name(int32_t class) { return class_is_known(class) ? CLASSES[class].name : ""; }

bool purpose_parse(sv text, purpose *out_purpose) {
    for (size_t i = 1; i < ARRAY_LEN(PURPOSES); i++) {
        if (!sv_equal(text, sv_of(PURPOSES[i]))) continue;
        *out_purpose = (purpose)i;
        return true;
    }
    return false;
}

bool ledger_charge(ledger_transfer *self, money_micro amount, int64_t purse, int64_t legal_entity, purpose item) {
    if (amount == 0) return false;
    ledger_account payer = {ACCOUNT_CLASS_PURSE, 0, purse};
    ledger_account seller = {ACCOUNT_CLASS_REVENUE, (int32_t)item, legal_entity};
    self->debit = amount > 0 ? payer : seller;
    self->credit = amount > 0 ? seller : payer;
    self->amount = amount > 0 ? amount : -amount;
    return true;
}

static err_t account_check(const ledger_account *account, const char *place, fault *out_fault) {
    if (!class_is_known((int32_t)account->class)) return fault_set(out_fault, ERR_BAD_INPUT, place, "no such class %d", account->class);
    if (account->num <= 0) return fault_set(out_fault, ERR_BAD_INPUT, place, "names nobody");
    bool has_item = account->item != 0;
    if (has_item != CLASSES[account->class].has_item)
        return fault_set(out_fault, ERR_BAD_INPUT, place, "%s %s an item", CLASSES[account->class].name,
                         CLASSES[account->class].has_item ? "needs" : "has no");
    return ERR_OK;
}

static bool accounts_equal(const ledger_account *a, const ledger_account *b) {
    return a->class == b->class && a->num == b->num && a->item == b->item;
}

static bool is_between(const ledger_transfer *self, account_class debit, account_class credit) {
    return self->debit.class == debit && self->credit.class == credit;
}

// Which sides a kind allows: the table in words.
static bool sides_fit(const ledger_transfer *self) {
    switch (self->kind) {
        case TRANSFER_CHARGE:
        case TRANSFER_CORRECTION:
            return is_between(self, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_REVENUE) ||
                   is_between(self, ACCOUNT_CLASS_REVENUE, ACCOUNT_CLASS_PURSE);
        case TRANSFER_SALE: return is_between(self, ACCOUNT_CLASS_CASH, ACCOUNT_CLASS_PURSE);
        case TRANSFER_TOP_UP: return is_between(self, ACCOUNT_CLASS_CLEARING, ACCOUNT_CLASS_PURSE);
        case TRANSFER_REFUND:
            return is_between(self, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_CASH) ||
                   is_between(self, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_CLEARING);
        case TRANSFER_REVERSAL:
            return is_between(self, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_CASH) ||
                   is_between(self, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_CLEARING) ||
                   is_between(self, ACCOUNT_CLASS_CLEARING, ACCOUNT_CLASS_PURSE);
        case TRANSFER_SUSPENSE:
            return is_between(self, ACCOUNT_CLASS_CLEARING, ACCOUNT_CLASS_SUSPENSE) ||
                   is_between(self, ACCOUNT_CLASS_SUSPENSE, ACCOUNT_CLASS_CLEARING) ||
                   is_between(self, ACCOUNT_CLASS_SUSPENSE, ACCOUNT_CLASS_PURSE);
        case TRANSFER_PRESET_CREDIT: return is_between(self, ACCOUNT_CLASS_ADJUSTMENT, ACCOUNT_CLASS_PURSE);
        case TRANSFER_ADJUSTMENT:
            // What a removed meter had left goes to the purse; where the books differ from its display, against adjustment.
            if (is_between(self, ACCOUNT_CLASS_METER_CREDIT, ACCOUNT_CLASS_PURSE) ||
                is_between(self, ACCOUNT_CLASS_METER_CREDIT, ACCOUNT_CLASS_ADJUSTMENT) ||
                is_between(self, ACCOUNT_CLASS_ADJUSTMENT, ACCOUNT_CLASS_METER_CREDIT))
                return true;
            return is_between(self, ACCOUNT_CLASS_ADJUSTMENT, ACCOUNT_CLASS_PURSE) ||
                   is_between(self, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_ADJUSTMENT);
        case TRANSFER_ZEROING:
            return is_between(self, ACCOUNT_CLASS_ADJUSTMENT, ACCOUNT_CLASS_PURSE) ||
                   is_between(self, ACCOUNT_CLASS_PURSE, ACCOUNT_CLASS_ADJUSTMENT);
    }
    return false;
}

err_t ledger_transfer_check(const ledger_transfer *self, fault *out_fault) {
    err_t err = account_check(&self->debit, "debit", out_fault);
    if (!err) err = account_check(&self->credit, "credit", out_fault);
    if (err) return err;
    if (accounts_equal(&self->debit, &self->credit)) return fault_set(out_fault, ERR_BAD_INPUT, "credit", "is the debited account");
    if (self->amount <= 0) return fault_set(out_fault, ERR_BAD_INPUT, "amount", "is not above zero");
    if (self->id <= 0 || self->company <= 0) return fault_set(out_fault, ERR_BAD_INPUT, "id", "id and company are above zero");
    if (!sides_fit(self))
        return fault_set(out_fault, ERR_BAD_INPUT, "kind", "a %s does not move money from %s to %s",
                         transfer_kind_name((int32_t)self->kind), account_class_name((int32_t)self->debit.class),
                         account_class_name((int32_t)self->credit.class));
    if (self->kind == TRANSFER_REVERSAL && self->corrects == 0)
        return fault_set(out_fault, ERR_BAD_INPUT, "corrects", "a reversal names what it reverses");
    return ERR_OK;
}

credit_level credit_level_of(money_micro balance, const credit_thresholds *thresholds) {
    if (balance <= -thresholds->overdraft) return CREDIT_LEVEL_ARREARS;
    if (balance <= thresholds->alarm_2) return CREDIT_LEVEL_ALARM_2;
    if (balance <= thresholds->alarm_1) return CREDIT_LEVEL_ALARM_1;
    return CREDIT_LEVEL_NORMAL;
}
