// The commands of penstockctl. Each is one function in a file of its own, named in commands.def; it gets the arguments
// behind its words, prints its answer on stdout and what is wrong as one line on stderr, and returns an exit code.
#pragma once

#include <stdbool.h>

#include "base/err.h"

enum {
    CTL_OK = 0,
    CTL_NO = 1,         // it ran, and the answer is no: a difference was found, a part is missing, the server refused
    CTL_BAD_INPUT = 2,  // the command line, a file or a frame breaks a rule
};

typedef int ctl_command_run(int argc, char **argv);

#define COMMAND(words, function, summary) ctl_command_run function;
#include "commands.def"
#undef COMMAND

// One option of a command; a table of them ends with a NULL name.
typedef struct ctl_option {
    const char *name;       // "--dir"
    const char *metavar;    // of its value in the help, "DIR"; NULL: a flag
    const char *help;       // one line
    const char **out_text;  // of an option with a value; unchanged when it is not given
    bool *out_flag;         // of a flag
} ctl_option;

typedef struct ctl_usage {
    const char *words;      // "frame decode"
    const char *arguments;  // "HEX…"; NULL: it takes none
    const char *text;       // what it does, for --help
    const ctl_option *options;
} ctl_usage;

// Reads the options ("--name value", "--name=value", "--" ends them) and moves the other arguments to argv[0 … *argc).
// False: return *out_exit at once, after --help (printed) or a wrong command line (told on stderr).
bool ctl_options_read(const ctl_usage *usage, int *argc, char **argv, int *out_exit);

// Reads a whole number within bounds from an option's text; tells on stderr what is wrong. False: return CTL_BAD_INPUT.
bool ctl_option_number(const char *name, const char *text, long long min, long long max, long long *out_number);

// One line on stderr: "penstockctl: …".
void ctl_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Tells a fault, led by what it was found in (a file's name, "the database"), and returns the exit code for it:
// CTL_BAD_INPUT for what its author can mend, else CTL_NO.
int ctl_fault(const char *in, const fault *what);
