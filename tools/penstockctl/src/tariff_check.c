// penstockctl tariff check: what a tariff document is, without a database.
#include <stdio.h>

#include "file.h"
#include "tariff_store.h"

static void print_summary(const tariff_text *text, arena *memory) {
    const tariff *by = tariff_document_tariff(text->document);
    printf("code            %.*s\n", SV_ARG(text->code));
    printf("utility         %.*s, %.*s per %.*s\n", SV_ARG(text->utility), SV_ARG(text->currency), SV_ARG(tariff_unit(by)));
    printf("effective from  %s %.*s\n", tariff_time(memory, tariff_zone(by), text->effective_from), SV_ARG(text->zone));
    printf("periods         %zu:", tariff_period_count(by));
    for (size_t i = 0; i < tariff_period_count(by); i++) printf(" %.*s", SV_ARG(tariff_period_name(by, i)));
    printf("\ntiers           %zu\n", tariff_tier_count(by));
    printf("lines           %zu:", tariff_line_count(by));
    for (size_t i = 0; i < tariff_line_count(by); i++)
        printf("%s %.*s (%s)", i ? "," : "", SV_ARG(tariff_line_name(by, i)), line_kind_name(tariff_line_kind(by, i)));
    putchar('\n');
}

int ctl_tariff_check(int argc, char **argv) {
    const ctl_option options[] = {{0}};
    const ctl_usage usage = {"tariff check", "FILE",
                             "Compiles a tariff document (\"-\": stdin) and prints what it is, and whether meters can be charged by it.\n"
                             "Exit 2: it is refused; stderr names the place and the reason.",
                             options};
    int end = CTL_OK;
    if (!ctl_options_read(&usage, &argc, argv, &end)) return end;
    if (argc != 1) {
        ctl_say("tariff check: one FILE is needed");
        return CTL_BAD_INPUT;
    }
    AUTO_ARENA memory = arena_new(TARIFF_MEMORY_MAX);
    AUTO_ZONE_SET zones = zone_set_new(SV(ZONE_FILES_FOLDER));
    AUTO(tariff_text) text = {0};
    sv json;
    fault why = {0};
    if (!ctl_file_read(argv[0], TARIFF_DOCUMENT_BYTES_MAX, memory, &json)) return CTL_BAD_INPUT;
    if (tariff_text_read(json, TARIFF_FOR_QUOTE, zones, NULL, memory, &text, &why)) return ctl_fault(argv[0], &why);
    print_summary(&text, memory);
    AUTO_TARIFF_DOCUMENT charging = NULL;
    tariff_reading how = {.use = TARIFF_FOR_CHARGING, .zones = zones};
    if (tariff_document_read(json, &how, &charging, &why))
        printf("charging        no: %s: %s\n", why.place, why.reason);
    else
        printf("charging        yes\n");
    return CTL_OK;
}
