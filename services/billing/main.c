// penstock-billing: see README.md.
#include "billing.h"

int main(int argc, char **argv) { return service_main(&BILLING_SERVICE, argc, argv); }
