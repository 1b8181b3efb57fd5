// The command line of every command: options from a table, help from the same table.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sv.h"
#include "command.h"

static void print_help(const ctl_usage *usage);
static const ctl_option *option_find(const ctl_usage *usage, sv name);

bool ctl_options_read(const ctl_usage *usage, int *argc, char **argv, int *out_exit) {
    int kept = 0;
    bool is_ended = false;
    for (int i = 0; i < *argc; i++) {
        sv argument = sv_of(argv[i]);
        if (is_ended || !sv_starts_with(argument, SV("-")) || argument.len == 1) {
            argv[kept++] = argv[i];
            continue;
        }
        if (sv_equal(argument, SV("--help")) || sv_equal(argument, SV("-h"))) {
            print_help(usage);
            *out_exit = CTL_OK;
            return false;
        }
        if ((is_ended = sv_equal(argument, SV("--")))) continue;
        const char *equals = strchr(argv[i], '=');
        sv name = equals ? (sv){argv[i], (size_t)(equals - argv[i])} : argument;
        const ctl_option *option = option_find(usage, name);
        *out_exit = CTL_BAD_INPUT;
        if (!option) {
            ctl_say("%s: unknown option %.*s", usage->words, SV_ARG(name));
            return false;
        }
        if (!option->metavar && !equals) {
            *option->out_flag = true;
            continue;
        }
        if (!option->metavar || (!equals && i + 1 == *argc)) {
            ctl_say("%s: %s takes %s", usage->words, option->name, option->metavar ? "a value" : "no value");
            return false;
        }
        *option->out_text = equals ? equals + 1 : argv[++i];
    }
    *argc = kept;
    if (kept == 0 || usage->arguments) return true;
    ctl_say("%s: unknown argument '%s'", usage->words, argv[0]);
    *out_exit = CTL_BAD_INPUT;
    return false;
}

static const ctl_option *option_find(const ctl_usage *usage, sv name) {
    for (const ctl_option *option = usage->options; option && option->name; option++)
        if (sv_equal(name, sv_of(option->name))) return option;
    return NULL;
}

static void print_help(const ctl_usage *usage) {
    printf("penstockctl %s", usage->words);
    if (usage->options && usage->options->name) fputs(" [options]", stdout);
    if (usage->arguments) printf(" %s", usage->arguments);
    printf("\n\n%s\n", usage->text);
    for (const ctl_option *option = usage->options; option && option->name; option++) {
        if (option == usage->options) putchar('\n');
        int width = printf("  %s%s%s", option->name, option->metavar ? " " : "", option->metavar ? option->metavar : "");
        printf("%*s%s\n", width < 24 ? 24 - width : 1, "", option->help);
    }
}

bool ctl_option_number(const char *name, const char *text, long long min, long long max, long long *out_number) {
    int64_t number = 0;
    if (sv_to_i64(sv_of(text), &number) && number >= min && number <= max) {
        *out_number = number;
        return true;
    }
    ctl_say("%s: '%s' is no whole number from %lld to %lld", name, text, min, max);
    return false;
}

void ctl_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fputs("penstockctl: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

int ctl_fault(const char *in, const fault *what) {
    ctl_say("%s: %s%s%s", in, what->place, what->place[0] ? ": " : "", what->reason[0] ? what->reason : err_text(what->err));
    bool is_input = what->err == ERR_BAD_INPUT || what->err == ERR_MALFORMED || what->err == ERR_TOO_LARGE || what->err == ERR_OVERFLOW;
    return is_input ? CTL_BAD_INPUT : CTL_NO;
}
