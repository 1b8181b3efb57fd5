// penstock-control: see README.md.
#include "control.h"

int main(int argc, char **argv) { return service_main(&CONTROL_SERVICE, argc, argv); }
