// penstock-api: see README.md.
#include "app.h"

int main(int argc, char **argv) { return service_main(&API_SERVICE, argc, argv); }
