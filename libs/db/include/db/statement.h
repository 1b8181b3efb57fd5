// A named statement, as cmake/embed_sql.awk makes it from the files in a sql folder.
#pragma once

typedef struct db_statement {
    const char *name;  // unique within its folder
    const char *text;
} db_statement;
