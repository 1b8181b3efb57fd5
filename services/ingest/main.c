// penstock-ingest: takes readings over HTTP and from transparent links, and journals them.
#include "ingest.h"

int main(int argc, char **argv) { return service_main(&INGEST_SERVICE, argc, argv); }
