// One mail to one recipient by SMTP (RFC 5321), TLS required unless the server is this machine. Each call uses a
// connection of its own. Plain text and HTML go as multipart/alternative, quoted-printable; headers are the caller's,
// encoded already.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sv.h"

typedef enum mail_security {
    MAIL_STARTTLS,  // smtp://, upgraded before anything else is said; refused where the server cannot
    MAIL_TLS,       // smtps://
    MAIL_PLAIN      // only to a loopback address
} mail_security;

typedef struct mail_request {
    sv host;  // name or address of the server
    int32_t port;
    mail_security security;
    const char *ca_file;  // NULL: the system's roots
    sv helo;              // our own full name
    sv user, password;    // empty: no log-in
    sv envelope_from, envelope_to;
    const sv *headers;  // "Subject: …", without line ends; Content-Type and MIME-Version are added
    size_t header_count;
    sv text, html;  // UTF-8; html may be empty
    int64_t total_timeout_ms;
} mail_request;

// What the server said last; 0 and "" when it said nothing.
typedef struct mail_answer {
    int code;
    char text[200];
} mail_answer;

// ERR_OK: the server took the mail. Nothing was taken: ERR_BAD_INPUT (an address or header with control characters),
// ERR_UNAVAILABLE (not connected, TLS missing or not trusted), ERR_FORBIDDEN (log-in refused), ERR_CONFLICT (sender,
// recipient or content refused: see the code). ERR_UNCERTAIN: it may have been taken.
err_t mail_send(const mail_request *request, mail_answer *out_answer, fault *out_fault) MUST_CHECK;
