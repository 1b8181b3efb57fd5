// penstock-alerts: see README.md.
#include "app.h"

int main(int argc, char **argv) { return service_main(&ALERTS_SERVICE, argc, argv); }
