// services/api/openapi.yaml, embedded when built.
#pragma once

extern const char OPENAPI_TEXT[];
