// What providers push to us: /receipts/{path}, one unguessable path for each company's account with a channel.
#pragma once

#include "app.h"

err_t receipts_start(alerts_app *app, sv listen, fault *out_fault) MUST_CHECK;
