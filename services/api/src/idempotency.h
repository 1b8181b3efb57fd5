// Idempotency-Key: one effect per key and operator. The key is claimed in the transaction of the effect, so a repetition
// either waits for the first one's end or finds its answer.
//
//   err = idempotency_begin(call, what, &earlier, out_fault);
//   if (err || earlier.is_there) return err;      // the stored answer has been written
//   … effect, answer into call->out …
//   return idempotency_end(call, 202);
#pragma once

#include "call.h"

typedef struct idempotency_earlier {
    bool is_there;
    sv body;
} idempotency_earlier;

// Refuses a missing or malformed key (400) and one that belongs to another request (422).
err_t idempotency_begin(api_call *call, idempotency_earlier *out_earlier, fault *out_fault) MUST_CHECK;
// Stores what is in the response's body as the answer, and sets the status.
err_t idempotency_end(api_call *call, int status) MUST_CHECK;
