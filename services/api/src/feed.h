// What the dashboards are told as it happens. One replica, chosen by an advisory lock, follows the stream `board`,
// re-reads the rooms of the properties that changed and appends the cards that differ to api.event_feed; every replica
// follows that table and passes on what its subscribers may see. Three threads: feeder, follower, sweeper.
#pragma once

#include "app.h"

feed *feed_new(api_app *app);
// After all threads and the HTTP server have ended.
void feed_free(feed *self);

void feed_run_feeder(service *svc, void *feed);
void feed_run_follower(service *svc, void *feed);
void feed_run_sweeper(service *svc, void *feed);

int64_t feed_subscribers(void *feed);

typedef struct feed_wish {
    int32_t company;
    int64_t operator_num;
    int64_t after;  // number of the last event the subscriber has
    bool sees_all;
    const uuid *properties;  // when it does not see all
    size_t property_count;
} feed_wish;

// Makes the stream of a response and remembers who listens; `first` is sent at once. False when there are too many.
bool feed_subscribe(feed *self, httpd_response *response, const feed_wish *wish, sv first);
