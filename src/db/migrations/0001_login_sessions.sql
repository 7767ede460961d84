-- Logged-in browsers. The token itself is only in the browser's cookie; here is its SHA-256.
CREATE TABLE login_sessions (
    token_hash  BLOB    NOT NULL PRIMARY KEY,
    csrf        TEXT    NOT NULL,
    user_name   TEXT    NOT NULL,
    user_groups TEXT    NOT NULL, -- JSON array of strings
    created_ms  INTEGER NOT NULL,
    seen_ms     INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX login_sessions_by_expiry ON login_sessions (expires_ms);
