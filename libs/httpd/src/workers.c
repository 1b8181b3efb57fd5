// Worker threads: take an exchange, run its handler, hand it back to the loop.
#include <signal.h>

#include "base/check.h"
#include "server.h"

static exchange *next_exchange(httpd *self) {
    pthread_mutex_lock(&self->lock);
    while (self->queue_first == NULL && !self->workers_end) pthread_cond_wait(&self->work, &self->lock);
    exchange *taken = self->workers_end ? NULL : self->queue_first;
    if (taken != NULL) {
        self->queue_first = taken->next;
        if (self->queue_first == NULL) self->queue_last = NULL;
        self->queued--;
        taken->next = NULL;
    }
    pthread_mutex_unlock(&self->lock);
    return taken;
}

static void hand_back(httpd *self, exchange *answered) {
    pthread_mutex_lock(&self->lock);
    bool was_empty = self->answered_first == NULL;
    if (was_empty)
        self->answered_first = answered;
    else
        self->answered_last->next = answered;
    self->answered_last = answered;
    pthread_mutex_unlock(&self->lock);
    if (was_empty) server_wake(self);
}

static void *run(void *argument) {
    httpd *self = argument;
    void *context = self->options.worker_new != NULL ? self->options.worker_new(self->options.user) : self->options.user;
    for (exchange *taken; (taken = next_exchange(self)) != NULL;) {
        taken->handler(&taken->request, &taken->response, taken->handler_context != NULL ? taken->handler_context : context);
        if (taken->response.status == 0 || buf_has_failed(&taken->response.body)) response_refuse(&taken->response, REFUSAL_NO_ANSWER);
        hand_back(self, taken);
    }
    if (self->options.worker_free != NULL) self->options.worker_free(context);
    return NULL;
}

bool server_enqueue(httpd *self, exchange *waiting) {
    pthread_mutex_lock(&self->lock);
    bool has_room = self->queued < self->options.queue_max;
    if (has_room) {
        if (self->queue_first == NULL)
            self->queue_first = waiting;
        else
            self->queue_last->next = waiting;
        self->queue_last = waiting;
        self->queued++;
        pthread_cond_signal(&self->work);
    }
    pthread_mutex_unlock(&self->lock);
    return has_room;
}

void workers_start(httpd *self) {
    self->worker_threads = mem_new(self->options.workers, sizeof *self->worker_threads);
    for (size_t i = 0; i < self->options.workers; i++) CHECK(pthread_create(&self->worker_threads[i], NULL, run, self) == 0);
}

void workers_join(httpd *self) {
    pthread_mutex_lock(&self->lock);
    self->workers_end = true;
    pthread_cond_broadcast(&self->work);
    pthread_mutex_unlock(&self->lock);
    for (size_t i = 0; i < self->options.workers; i++) pthread_join(self->worker_threads[i], NULL);
    mem_free(self->worker_threads);
    while (self->queue_first != NULL) {
        exchange *dropped = self->queue_first;
        self->queue_first = dropped->next;
        exchange_free(dropped);
    }
}
