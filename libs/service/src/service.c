// From main to exit: settings, start checks, threads, signals, shutdown in fixed order.
#include "service/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "service_internal.h"

#define EXIT_REFUSED 2
#define CONNECT_RETRY_MAX_MS 5000
#define JOIN_DEADLINE_MS 25000
#define ADMIN_STOP_MS 1000

static const setting COMMON_HEAD[] = {
    {.name = "PENSTOCK_DATABASE",
     .kind = SETTING_TEXT,
     .min = 1,
     .max = 2000,
     .is_secret = true,
     .help = "PostgreSQL connection string; user=penstock_<service> is added when it names none."},
    {.name = "PENSTOCK_REDIS", .kind = SETTING_ADDRESS, .fallback = "127.0.0.1:6379", .help = "Redis, as host:port or unix:/path."},
    {.name = "PENSTOCK_LOG_LEVEL",
     .kind = SETTING_CHOICE,
     .fallback = "info",
     .choices = "debug|info|warn|error",
     .help = "The least important lines that are written."},
    {.name = "PENSTOCK_REUSE_PORT",
     .kind = SETTING_BOOL,
     .fallback = "0",
     .help = "Lets several replicas on one machine share a listening port."},
    {.name = "PENSTOCK_DRAIN_DELAY_MS",
     .kind = SETTING_INT,
     .fallback = "0",
     .min = 0,
     .max = 60000,
     .help = "How long to go on serving, not ready, before taking no more work at shutdown."},
#ifdef PENSTOCK_CRASH_POINTS
    {.name = "PENSTOCK_CLOCK_SHIFT_MS",
     .kind = SETTING_INT,
     .fallback = "0",
     .min = -400 * DAY_MS,
     .max = 400 * DAY_MS,
     .help = "Test builds only: shifts the service's clock."},
#endif
    {.name = NULL},
};

// ---- state and small questions ----

void service_set_state(service *self, void *state) { self->state = state; }

void *service_state(const service *self) { return self->state; }

const settings *service_settings(const service *self) { return self->settings; }

const penstock_clock *service_clock(const service *self) { return &self->clock; }

instant_ms service_now(const service *self) { return clock_now(&self->clock); }

uuid service_instance(const service *self) { return self->instance; }

static db_options options_for(const service *self, const char *role, const char *purpose) {
    // The texts are copied by db_open; the buffers only have to live until then, one set per thread.
    static _Thread_local char name[64], user[64];
    snprintf(name, sizeof name, "penstock-%s/%s", self->def->name, purpose);
    if (role)
        sv_copy_truncated(sv_of(role), user, sizeof user);
    else
        snprintf(user, sizeof user, "penstock_%s", self->def->name);
    return db_options_default(settings_text(self->settings, "PENSTOCK_DATABASE"), user, name);
}

db_options service_db_options(const service *self, const char *purpose) { return options_for(self, NULL, purpose); }

db_options service_worker_options(const service *self, const char *purpose) {
    db_options options = options_for(self, self->def->worker_role, purpose);
    options.search_path = self->schema;
    return options;
}

err_t service_db_connect(service *self, const db_options *options, db **in_out_conn) {
    int32_t back_off_ms = 100;
    while (!service_is_stopping(self)) {
        fault why = {0};
        err_t err = *in_out_conn ? db_reset(*in_out_conn, &why) : db_open(options, in_out_conn, &why);
        if (!err) return ERR_OK;
        LOG_WARN("no database connection; trying again", LOG_S("for", options->application_name), LOG_S("why", why.reason));
        uint32_t random;
        random_fill(&random, sizeof random);
        if (service_wait(self, 1 + (int32_t)(random % (uint32_t)back_off_ms))) break;
        back_off_ms = back_off_ms * 2 < CONNECT_RETRY_MAX_MS ? back_off_ms * 2 : CONNECT_RETRY_MAX_MS;
    }
    return ERR_UNAVAILABLE;
}

bus *service_bus_new(service *self) {
    bus *handle = NULL;
    err_t err = bus_new(settings_text(self->settings, "PENSTOCK_REDIS"), &handle, NULL);
    CHECK(!err);  // the address was checked with the settings
    return handle;
}

// ---- threads ----

static void *thread_main(void *argument) {
    service_thread *self = argument;
    self->run(self->svc, self->context);
    atomic_store(&self->has_ended, true);
    return NULL;
}

void service_spawn(service *self, const char *name, void (*run)(service *svc, void *context), void *context) {
    CHECK(self->thread_count < THREADS_MAX);
    service_thread *thread = mem_new(1, sizeof *thread);
    *thread = (service_thread){.svc = self, .run = run, .context = context};
    sv_copy_truncated(sv_of(name), thread->name, sizeof thread->name);
    CHECK(pthread_create(&thread->id, NULL, thread_main, thread) == 0);
    pthread_setname_np(thread->id, thread->name);
    self->threads[self->thread_count++] = thread;
}

bool service_is_stopping(const service *self) {
    service *mutable = (service *)(uintptr_t)self;
    pthread_mutex_lock(&mutable->lock);
    bool is_stopping = self->is_stopping;
    pthread_mutex_unlock(&mutable->lock);
    return is_stopping;
}

static struct timespec monotonic_in(int64_t ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t ns = at.tv_nsec + ms * 1000000;
    at.tv_sec += ns / 1000000000;
    at.tv_nsec = ns % 1000000000;
    return at;
}

bool service_wait(service *self, int32_t timeout_ms) {
    struct timespec deadline = monotonic_in(timeout_ms);
    pthread_mutex_lock(&self->lock);
    while (!self->is_stopping)
        if (pthread_cond_timedwait(&self->stop_changed, &self->lock, &deadline) != 0) break;
    bool is_stopping = self->is_stopping;
    pthread_mutex_unlock(&self->lock);
    return is_stopping;
}

static void begin_stopping(service *self) {
    pthread_mutex_lock(&self->lock);
    self->is_stopping = true;
    pthread_cond_broadcast(&self->stop_changed);
    pthread_cond_broadcast(&self->relay_rung);
    pthread_mutex_unlock(&self->lock);
}

void service_fail(service *self, const char *why) {
    LOG_ERROR("the service cannot go on and stops", LOG_S("why", why));
    atomic_store(&self->has_failed, true);
}

void service_ring_relay(service *self) {
    pthread_mutex_lock(&self->lock);
    self->relay_has_work = true;
    pthread_cond_signal(&self->relay_rung);
    pthread_mutex_unlock(&self->lock);
}

// False when a thread did not end in time; then nothing may be freed any more.
static bool join_threads(service *self) {
    int64_t deadline_ms = clock_monotonic_ms() + JOIN_DEADLINE_MS;
    for (size_t i = 0; i < self->thread_count; i++) {
        service_thread *thread = self->threads[i];
        while (!atomic_load(&thread->has_ended)) {
            if (clock_monotonic_ms() > deadline_ms) {
                LOG_ERROR("a thread did not end in time", LOG_S("thread", thread->name));
                return false;
            }
            usleep(2000);
        }
        pthread_join(thread->id, NULL);
        mem_free(thread);
    }
    self->thread_count = 0;
    return true;
}

// ---- start ----

static int refuse(const char *what, const fault *why) {
    fprintf(stderr, "penstock-%s: %s: %s\n", what, why->place[0] ? why->place : "start", why->reason[0] ? why->reason : err_text(why->err));
    return EXIT_REFUSED;
}

// Waits for a database that is away, refuses one that is wrong.
static err_t pass_database_checks(service *self, const char *role, fault *out_fault) {
    db_options options = options_for(self, role, "start");
    AUTO_DB conn = NULL;
    int said = 0;
    while (!service_is_stopping(self)) {
        fault why = {0};
        err_t err = conn ? (db_is_broken(conn) ? db_reset(conn, &why) : ERR_OK) : db_open(&options, &conn, &why);
        if (!err) err = service_check_database(self, conn, &why);
        if (!err) return ERR_OK;
        if (err_retry_class(err) == ERR_RETRY_NO) {
            if (out_fault) *out_fault = why;
            return err;
        }
        if (said++ % 10 == 0) LOG_WARN("waiting for the database", LOG_S("why", why.reason));
        sigset_t asked;
        struct timespec at_once = {0};
        sigemptyset(&asked);
        sigaddset(&asked, SIGTERM);
        sigaddset(&asked, SIGINT);
        if (sigtimedwait(&asked, NULL, &at_once) > 0) begin_stopping(self);
        (void)service_wait(self, 500);
    }
    return ERR_UNAVAILABLE;
}

static err_t pass_start_checks(service *self, fault *out_fault) {
    err_t err = service_check_redis(self, out_fault);
    if (err == ERR_UNAVAILABLE) LOG_WARN("redis does not answer; going on without", LOG_S("why", out_fault->reason));
    if (err && err != ERR_UNAVAILABLE) return err;
    err = pass_database_checks(self, NULL, out_fault);
    if (!err && self->def->worker_role) err = pass_database_checks(self, self->def->worker_role, out_fault);
    return err;
}

static void spawn_skeleton(service *self) {
    service_spawn(self, "keeper", service_keeper_run, NULL);
    if (self->def->has_outbox) service_spawn(self, "relay", service_relay_run, NULL);
    for (const service_consumer *spec = self->def->consumers; spec && spec->stream; spec++)
        service_spawn(self, "consumer", service_consumer_run, (void *)(uintptr_t)spec);
}

static void wait_for_end(service *self) {
    sigset_t asked;
    sigemptyset(&asked);
    sigaddset(&asked, SIGTERM);
    sigaddset(&asked, SIGINT);
    struct timespec patience = {.tv_nsec = 100 * 1000 * 1000};
    while (!atomic_load(&self->has_failed)) {
        int signal_number = sigtimedwait(&asked, NULL, &patience);
        if (signal_number > 0) return;
        CHECK(errno == EAGAIN || errno == EINTR);
    }
}

static void wait_until_drained(service *self) {
    sigset_t asked;
    sigemptyset(&asked);
    sigaddset(&asked, SIGTERM);
    sigaddset(&asked, SIGINT);
    const struct timespec patience = {.tv_nsec = 20 * 1000 * 1000};
    while (!atomic_load(&self->has_failed) && !self->def->is_drained(self)) {
        if (sigtimedwait(&asked, NULL, &patience) <= 0) continue;
        LOG_INFO("asked to stop once more: not waiting any longer");
        return;
    }
}

static int shut_down(service *self) {
    LOG_INFO("stopping");
    atomic_store(&self->is_started, false);
    int64_t delay_ms = settings_int(self->settings, "PENSTOCK_DRAIN_DELAY_MS");
    if (delay_ms > 0 && !atomic_load(&self->has_failed)) usleep((useconds_t)(delay_ms * 1000));
    if (self->def->drain) self->def->drain(self);
    if (self->def->is_drained) wait_until_drained(self);
    begin_stopping(self);
    if (!join_threads(self)) _exit(EXIT_FAILURE);
    if (self->def->stop) self->def->stop(self);
    (void)httpd_stop(self->admin, ADMIN_STOP_MS);
    LOG_INFO("stopped");
    return atomic_load(&self->has_failed) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(service *self) {
    fault why = {0};
    if (service_admin_start(self, &why)) return refuse(self->def->name, &why);
    err_t err = pass_start_checks(self, &why);
    if (!err) err = self->def->start(self, &why);
    if (err) {
        bool was_asked = service_is_stopping(self);
        begin_stopping(self);
        if (!join_threads(self)) _exit(EXIT_REFUSED);
        (void)httpd_stop(self->admin, ADMIN_STOP_MS);
        return was_asked ? EXIT_SUCCESS : refuse(self->def->name, &why);
    }
    atomic_store(&self->database_ok, true);
    spawn_skeleton(self);
    atomic_store(&self->is_started, true);
    LOG_INFO("started");
    wait_for_end(self);
    return shut_down(self);
}

// ---- command line ----

typedef enum run_mode { MODE_RUN, MODE_HELP, MODE_CHECK, MODE_PRINT, MODE_WRONG } run_mode;

static run_mode mode_of(int argc, char **argv) {
    if (argc == 1) return MODE_RUN;
    if (argc != 2) return MODE_WRONG;
    sv word = sv_of(argv[1]);
    if (sv_equal(word, SV("--help")) || sv_equal(word, SV("-h"))) return MODE_HELP;
    if (sv_equal(word, SV("--check-config"))) return MODE_CHECK;
    if (sv_equal(word, SV("--print-config"))) return MODE_PRINT;
    return MODE_WRONG;
}

static int print_help(const service_def *def, const setting *const *tables) {
    AUTO(buf) text = {.max = 1u << 20};
    buf_addf(&text, "penstock-%s: %s\n\nusage: penstock-%s [--check-config | --print-config | --help]\n\nSettings (environment):\n",
             def->name, def->summary, def->name);
    settings_help(tables, &text);
    fputs(buf_cstr(&text), stdout);
    return EXIT_SUCCESS;
}

static int print_config(const service *self) {
    AUTO(buf) text = {.max = 1u << 20};
    settings_print(self->settings, &text);
    fputs(buf_cstr(&text), stdout);
    return EXIT_SUCCESS;
}

static void init(service *self) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->stop_changed, &attr);
    pthread_cond_init(&self->relay_rung, &attr);
    pthread_condattr_destroy(&attr);
    self->schema = self->def->name;
    self->clock = clock_system();
    self->instance = uuid_v7_now();
    atomic_store(&self->redis_ok, true);
#ifdef PENSTOCK_CRASH_POINTS
    self->clock.shift_ms = settings_int(self->settings, "PENSTOCK_CLOCK_SHIFT_MS");
#endif
    log_level level = LOG_LEVEL_INFO;
    CHECK(log_level_parse(sv_of(settings_text(self->settings, "PENSTOCK_LOG_LEVEL")), &level));
    log_setup(self->def->name, level);
}

// Signals are taken by the main thread alone, in wait_for_end; every other thread inherits the mask.
static void take_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int service_main(const service_def *def, int argc, char **argv) {
    const setting admin[] = {{.name = "PENSTOCK_ADMIN_LISTEN",
                              .kind = SETTING_ADDRESS,
                              .fallback = def->admin_listen,
                              .help = "Where /livez, /readyz and /metrics are served."},
                             {.name = NULL}};
    const setting *tables[] = {COMMON_HEAD, admin, def->settings, NULL};
    run_mode mode = mode_of(argc, argv);
    if (mode == MODE_HELP) return print_help(def, tables);
    if (mode == MODE_WRONG) {
        fprintf(stderr, "penstock-%s: unknown argument; see --help\n", def->name);
        return EXIT_REFUSED;
    }
    service self = {.def = def};
    fault why = {0};
    int code = EXIT_SUCCESS;
    if (settings_load(tables, &self.settings, &why)) return refuse(def->name, &why);
    if (mode == MODE_PRINT) code = print_config(&self);
    if (mode == MODE_RUN) {
        init(&self);
        take_signals();
        code = run(&self);
    }
    settings_free(self.settings);
    return code;
}
