// penstock-fleet: thousands of simulated meters behind gateways that speak the real bytes.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "fleet.h"

#define EXIT_USAGE 2

static const char HELP[] =
    "penstock-fleet --config FILE [options]: simulated meters and gateways\n"
    "  --config FILE          gateways and meters (see loadtest/fleet/README.md)\n"
    "  --truth FILE           append one JSON line per reading answered or acknowledged, and final registers on exit\n"
    "  --truth-every N        readings of one meter in N only (final registers are of all)\n"
    "  --state FILE           remember relays, replaced meters and set clocks over restarts\n"
    "  --control PATH         unix socket for orders, one JSON line each\n"
    "  --stats                print a JSON line of counters each second\n"
    "  --time-scale N         run the clock of the load N times faster than the wall clock\n"
    "  --rate N               HTTP gateways push N readings a second in all, open loop, whatever the server does\n"
    "  --burst F,FROM,FOR     with --rate: F times as many from second FROM on, for FOR seconds\n"
    "  --duration S           stop after S seconds\n"
    "  --drain S              after the stop, send what is not acknowledged for up to S seconds (default 5)\n"
    "  --print-register ADDRESS [--at TIME]   print what a meter counts at TIME (default now) and exit\n"
    "  --help\n"
    "Exit status: 0 after a clean stop, 1 when a file or socket cannot be used, 2 for a wrong option or configuration.\n";

typedef struct command_line {
    const char *config_path;
    const char *print_register;
    const char *at;
    fleet_options options;
} command_line;

static bool parse_seconds(const char *text, int64_t *out_ms) {
    int64_t seconds;
    if (!sv_to_i64(sv_of(text), &seconds) || seconds < 0 || seconds > 10000000) return false;
    *out_ms = seconds * SECOND_MS;
    return true;
}

static bool parse_count(const char *text, int64_t *out_count) {
    int64_t count;
    if (!sv_to_i64(sv_of(text), &count) || count < 1 || count > 10000000) return false;
    *out_count = count;
    return true;
}

static bool parse_burst(const char *text, fleet_options *options) {
    sv rest = sv_of(text), factor, from;
    int64_t from_s, for_s;
    if (!sv_next(&rest, ',', &factor) || !sv_next(&rest, ',', &from)) return false;
    if (!sv_to_i64(factor, &options->burst_factor) || !sv_to_i64(from, &from_s) || !sv_to_i64(rest, &for_s)) return false;
    if (options->burst_factor < 1 || options->burst_factor > 1000 || from_s < 0 || for_s < 1) return false;
    if (from_s > 10000000 || for_s > 10000000) return false;
    options->burst_from_ms = from_s * SECOND_MS;
    options->burst_ms = for_s * SECOND_MS;
    return true;
}

enum {
    OPT_CONFIG = 1,
    OPT_TRUTH,
    OPT_TRUTH_EVERY,
    OPT_STATE,
    OPT_CONTROL,
    OPT_STATS,
    OPT_SCALE,
    OPT_RATE,
    OPT_BURST,
    OPT_DURATION,
    OPT_DRAIN,
    OPT_PRINT,
    OPT_AT,
    OPT_HELP
};

static const struct option OPTIONS[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"truth", required_argument, NULL, OPT_TRUTH},
    {"truth-every", required_argument, NULL, OPT_TRUTH_EVERY},
    {"state", required_argument, NULL, OPT_STATE},
    {"control", required_argument, NULL, OPT_CONTROL},
    {"stats", no_argument, NULL, OPT_STATS},
    {"time-scale", required_argument, NULL, OPT_SCALE},
    {"rate", required_argument, NULL, OPT_RATE},
    {"synthetic", required_argument, NULL, OPT_RATE},
    {"burst", required_argument, NULL, OPT_BURST},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"drain", required_argument, NULL, OPT_DRAIN},
    {"print-register", required_argument, NULL, OPT_PRINT},
    {"at", required_argument, NULL, OPT_AT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static bool take_option(int option, const char *value, command_line *line) {
    switch (option) {
        case OPT_CONFIG: line->config_path = value; return true;
        case OPT_TRUTH: line->options.truth_path = value; return true;
        case OPT_TRUTH_EVERY: return parse_count(value, &line->options.truth_every);
        case OPT_STATE: line->options.state_path = value; return true;
        case OPT_CONTROL: line->options.control_path = value; return true;
        case OPT_STATS: line->options.prints_stats = true; return true;
        case OPT_SCALE: return parse_count(value, &line->options.time_scale);
        case OPT_RATE: return parse_count(value, &line->options.rate);
        case OPT_BURST: return parse_burst(value, &line->options);
        case OPT_DURATION: return parse_seconds(value, &line->options.duration_ms);
        case OPT_DRAIN: return parse_seconds(value, &line->options.drain_ms);
        case OPT_PRINT: line->print_register = value; return true;
        case OPT_AT: line->at = value; return true;
        default: return false;
    }
}

static bool read_file(const char *path, buf *out) {
    FILE *file = fopen(path, "re");
    if (!file) return false;
    char piece[65536];
    size_t len;
    while ((len = fread(piece, 1, sizeof piece, file)) > 0) buf_add(out, (sv){piece, len});
    bool ok = !ferror(file) && !buf_has_failed(out);
    fclose(file);
    return ok;
}

static int print_register(fleet_config *config, const command_line *line) {
    penstock_clock clock = clock_system();
    instant_ms at = clock_now(&clock);
    if (line->at && !instant_parse(sv_of(line->at), &at)) {
        fprintf(stderr, "penstock-fleet: --at: is not an RFC 3339 time\n");
        return EXIT_USAGE;
    }
    fleet_meter *meter = fleet_config_meter(config, sv_of(line->print_register));
    if (!meter) {
        fprintf(stderr, "penstock-fleet: --print-register: no meter has this address\n");
        return EXIT_USAGE;
    }
    fleet_registers registers = fleet_load_at(&meter->load, at);
    printf("{\"meter\":\"%s\",\"total_wh\":%lld,\"t1_wh\":%lld,\"t2_wh\":%lld,\"t3_wh\":%lld,\"t4_wh\":%lld}\n", meter->address_text,
           (long long)registers.total_wh, (long long)registers.period_wh[0], (long long)registers.period_wh[1],
           (long long)registers.period_wh[2], (long long)registers.period_wh[3]);
    return EXIT_SUCCESS;
}

static int run(const command_line *line) {
    AUTO(buf) text;
    buf_init(&text, FLEET_CONFIG_BYTES_MAX);
    if (!read_file(line->config_path, &text)) {
        fprintf(stderr, "penstock-fleet: %s: cannot be read: %s\n", line->config_path, strerror(errno));
        return EXIT_FAILURE;
    }
    penstock_clock clock = clock_system();
    fleet_config config;
    fault why;
    if (fleet_config_parse(buf_view(&text), clock_now(&clock), &config, &why)) {
        fprintf(stderr, "penstock-fleet: %s: %s: %s\n", line->config_path, why.place, why.reason);
        return EXIT_USAGE;
    }
    buf_done(&text);
    if (line->print_register) {
        int status = print_register(&config, line);
        fleet_config_done(&config);
        return status;
    }
    if (fleet_run(&config, &line->options, &why)) {
        fprintf(stderr, "penstock-fleet: %s: %s\n", why.place, why.reason);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    command_line line = {.options = {.time_scale = 1, .truth_every = 1, .drain_ms = 5 * SECOND_MS}};
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (option == OPT_HELP) {
            fputs(HELP, stdout);
            return EXIT_SUCCESS;
        }
        if (take_option(option, optarg, &line)) continue;
        fprintf(stderr, "penstock-fleet: a wrong option; see --help\n");
        return EXIT_USAGE;
    }
    if (!line.config_path || optind < argc) {
        fprintf(stderr, "penstock-fleet: --config FILE is missing; see --help\n");
        return EXIT_USAGE;
    }
    return run(&line);
}
