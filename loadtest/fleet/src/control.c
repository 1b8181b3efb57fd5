#include "control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "order.h"

#define CLIENTS_MAX 16
#define ANSWER_MAX 4096

struct fleet_control {
    fleet_world *fleet;
    struct evconnlistener *listener;
    struct bufferevent *clients[CLIENTS_MAX];
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path];
};

static void client_gone(fleet_control *self, struct bufferevent *client) {
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (self->clients[i] == client) self->clients[i] = NULL;
    bufferevent_free(client);
}

static void on_lines(struct bufferevent *client, void *arg) {
    fleet_control *self = arg;
    struct evbuffer *input = bufferevent_get_input(client);
    size_t len;
    char *line;
    while ((line = evbuffer_readln(input, &len, EVBUFFER_EOL_LF))) {
        AUTO(buf) answer;
        buf_init(&answer, ANSWER_MAX);
        fleet_order_take(self->fleet, (sv){line, len}, &answer);
        bufferevent_write(client, answer.ptr, answer.len);
        free(line);
    }
    if (evbuffer_get_length(input) > FLEET_ORDER_BYTES_MAX) client_gone(self, client);
}

static void on_event(struct bufferevent *client, short what, void *arg) {
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) client_gone(arg, client);
}

static void on_client(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len, void *arg) {
    (void)address, (void)len;
    fleet_control *self = arg;
    size_t free_at = 0;
    while (free_at < CLIENTS_MAX && self->clients[free_at]) free_at++;
    if (free_at == CLIENTS_MAX) {
        close(fd);
        return;
    }
    struct bufferevent *client = bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
    self->clients[free_at] = client;
    bufferevent_setcb(client, on_lines, NULL, on_event, self);
    bufferevent_enable(client, EV_READ | EV_WRITE);
}

err_t fleet_control_open(fleet_world *fleet, const char *path, fleet_control **out_control, fault *out_fault) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path) {
        *out_control = NULL;
        return ERR_OK;
    }
    if (strlen(path) >= sizeof address.sun_path) return fault_set(out_fault, ERR_BAD_INPUT, path, "is too long for a unix socket");
    sv_copy_truncated(sv_of(path), address.sun_path, sizeof address.sun_path);
    unlink(path);
    fleet_control *self = mem_new(1, sizeof *self);
    self->fleet = fleet;
    sv_copy_truncated(sv_of(path), self->path, sizeof self->path);
    self->listener = evconnlistener_new_bind(fleet->base, on_client, self, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16,
                                             (struct sockaddr *)&address, sizeof address);
    if (!self->listener) {
        mem_free(self);
        return fault_set(out_fault, ERR_BAD_INPUT, path, "cannot be listened on: %s", strerror(errno));
    }
    *out_control = self;
    return ERR_OK;
}

void fleet_control_close(fleet_control *self) {
    if (!self) return;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (self->clients[i]) bufferevent_free(self->clients[i]);
    evconnlistener_free(self->listener);
    unlink(self->path);
    mem_free(self);
}
