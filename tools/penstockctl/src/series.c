#include "series.h"

#define REPLICA_LOCK_SPACE 7001
#define REPLICA_FIRST 1023
#define REPLICA_LAST 1000

err_t ctl_series_open(db *conn, num_series *out_series) {
    for (int32_t replica = REPLICA_FIRST; replica >= REPLICA_LAST; replica--) {
        bool is_taken = false;
        err_t err = db_try_lock(conn, REPLICA_LOCK_SPACE, replica, &is_taken);
        if (err) return err;
        if (!is_taken) continue;
        *out_series = (num_series){.replica = (uint16_t)replica};
        return ERR_OK;
    }
    return ERR_BUSY;
}
