// penstock-payments: orders, notifications and refunds of payment channels.
#include "payments.h"

int main(int argc, char **argv) { return service_main(&PAYMENTS_SERVICE, argc, argv); }
